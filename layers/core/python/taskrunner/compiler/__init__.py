"""From a manifest's text to a state machine, in stages with plain data between them.

* source   the text becomes values, with the line of each kept
* schema   the values become a Pack of the right shape
* check    names, references and parameters are looked up: what no shape can say
* plan     everything that inputs alone decide is decided: a frozen Plan and its hash
* emit     the plan's structure becomes Amazon States Language
* gates    what was emitted is read again: no gate of the plan may be gone around in it

A stage reports all the mistakes it finds, and a later one may rely on what an earlier one proved.
Nothing here knows a clock, randomness, the environment or AWS: the same text and inputs give the
same plan, anywhere. The price is that a new kind of step is told to each stage in turn; mypy's
exhaustiveness checks name the places.
"""
