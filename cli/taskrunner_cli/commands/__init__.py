"""The commands, a module for each group: options, API calls, and the result to print."""
