"""The inputs of a pack: their declarations, and the values that a run is given for them.

values checks and resolves the values, json_schemas applies an input's own JSON Schema, and
schema_cost counts beforehand what that may take.
"""
