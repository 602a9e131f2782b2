"""Stages 1 and 2: a manifest's text becomes a pack of the right shape.

source and scalars read the YAML, flat_form brings each step into its nested form, shapes says what
a pack looks like, and schema applies the shapes, with shape_messages for what does not fit.
"""
