"""The state of a run, computed from its plan and journal each time that it is asked for.

    fold         plan and entries in, `RunState` out; read this first
    facts        the facts that the entries state, by step path
    transitions  the change of one step by one entry
    listing      every step in the plan's order, with its surroundings
    rules        the changes of a step by its run, its block and its siblings
    tail         the status of a run from the last entries of its journal alone

Only run steps, gates and decisions have entries. The state of a parallel, map, loop or conditional
is derived from its children, so a block costs no write and cannot disagree with what is in it.

Every sequence of entries has a state. An entry that is written late or twice, after its step or its
run has ended, is in the log and changes nothing. There is one exception: a step that was running
when the run failed or succeeded beside it may still finish, and its result counts.

Rules say in their names what section 7, Running, of the pack language demands.
"""
