"""The actions of TaskRunner: a module for each verb, a function over the ports it is given."""
