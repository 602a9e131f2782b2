"""What the use cases share while a run is in progress."""
