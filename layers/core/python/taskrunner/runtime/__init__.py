"""Parts that use cases share while a run is running: its steps, values, secrets, decisions."""
