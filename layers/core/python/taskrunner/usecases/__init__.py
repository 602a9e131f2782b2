"""The actions of TaskRunner: one module a verb, each a function over the ports it is given."""
