"""The command line of TaskRunner."""
