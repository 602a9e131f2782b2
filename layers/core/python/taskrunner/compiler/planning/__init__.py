"""Stage 4: a checked pack and the inputs of one run become a plan.

plan takes over what the pack declares; steps plans each kind of step; items finds the items of maps
and loops; evaluator evaluates what reads inputs alone, and collects what fails on these inputs.
"""
