"""What TaskRunner does: one module per verb, each a function over the ports that it is given."""
