"""Stage 3: the rules that no shape can express.

Names are looked up, expressions parsed and parameters validated.

pack checks the sections of a pack and is the way in; steps walks through the steps; policies checks
rules from where a gate stands; expressions parses and names says which names can be read; ceilings
compares the sandbox with the deployment. All problems are returned, and a pack without problems can
be planned for any valid inputs.
"""
