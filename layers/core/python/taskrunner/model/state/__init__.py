"""The state of a run, computed from its plan and journal each time that it is asked for.

    fold         plan and entries in, `RunState` out; read this first
    facts        what the entries say, by step path
    transitions  what one entry makes of one step
    listing      every step there is, in the plan's order, and the scope that it stands in
    rules        what a step becomes by what happens around it: its run, its block, its siblings
    tail         what the last entries of a journal alone say of a run

Only run steps, gates and decisions have entries. The state of a parallel, map, loop or conditional
is derived from its children, so a block costs no write and cannot disagree with what is in it.

Every sequence of entries has a state. An entry that is written late or twice, after its step or its
run has ended, is in the log and changes nothing. There is one exception: a step that was running
while another failed the run may still finish, and its result counts.

Rules are numbered and named after section 7, Running, of the pack language.
"""
