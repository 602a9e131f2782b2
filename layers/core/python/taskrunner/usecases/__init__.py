"""What TaskRunner does: a module for each verb, each a function over the ports it is given."""
