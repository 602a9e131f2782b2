"""The entries of a journal, kind by kind: how each is written, and the facts read from it.

Each kind has a constructor, such as `step_entries.attempt_started`, which returns the entry, and a
fact, such as `AttemptStarted`, which `reading.read` returns of it. Constructor and reader of a kind
stand side by side, and no other code knows ids and metadata.

Entries are stored, served and signed. So ids, events and the keys and values of
metadata never change, and a reader accepts what any release has written: metadata that is missing
or malformed is read as unknown. Messages are for people and may be worded anew.

Facts are named tuples, because the definition of a dataclass costs a cold start four times as much
(0.4 ms each).
"""
