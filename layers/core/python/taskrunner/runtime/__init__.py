"""Parts that use cases share while a run is in progress: steps, values, secrets, decisions."""
