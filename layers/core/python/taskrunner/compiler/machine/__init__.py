"""Stages 5 and 6: a plan becomes a Step Functions machine, and its gates are proved.

frame has the prototypes of states, states clones and fills them in, emit wires them step by step,
and execution_input is what a run of the machine starts with. ways reads what was emitted as Step
Functions does, and gates proves that no gate of the plan can be bypassed in it.
"""
