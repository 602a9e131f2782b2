"""Compare MiniStack's functions with those of `emulator_speed.py`, and print what differs as JSON.

test_emulator_speed.py runs it in the emulator's environment.
"""

import copy
import json
import runpy
import sys
from typing import Any

from ministack.core import iam_evaluator
from ministack.services import dynamodb

# Of our own tables, and with each kind of fault.
EXPRESSIONS = [
    "attribute_not_exists(pk) OR (size(entries) < :full AND NOT contains(ids, :i0))",
    "pk = :pk AND sk BETWEEN :first AND :last",
    "SET entries = list_append(if_not_exists(entries, :none), :new) ADD ids :ids REMOVE a.b[0]",
    "#a <> :a",
    "((a = :a))",
    "a = :a AND",
    "a == :a",
    "a IN (:a, :b",
    "",
    "ä = :a",
]
POLICIES: list[Any] = [
    '{"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": ["a", "b"]}]}',
    '{"Statement": {"Effect": "Deny", "NotAction": ["a"], "Condition": {"Bool": {"a": "true"}}}}',
    '{"Statement": [{"Effect": "Perhaps"}, 1]}',
    '{"Statement": 1}',
    "no JSON",
    "[]",
    {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}},
]
ITEM: dict[str, Any] = {
    "pk": {"S": "a"},
    "entries": {"L": [{"S": "b"}, {"M": {"c": {"N": "1"}, "d": {"NULL": True}}}]},
    "ids": {"SS": ["x", "y"]},
    "other": (1, [2]),
}


def differences(speed: dict[str, Any]) -> list[str]:
    """Return what differs from MiniStack, in the first or the second call."""
    found = []
    for _ in range(2):
        for text in EXPRESSIONS:
            kept = speed["tokenize"](text)
            if kept != dynamodb._tokenize(text):
                found.append(f"tokens of {text}")
            kept.clear()
            for slot in ("ConditionExpression", "FilterExpression"):
                faults = speed["condition_syntax_error"], dynamodb._condition_syntax_error
                if faults[0](text, slot) != faults[1](text, slot):
                    found.append(f"{slot} {text}")
        for policy in POLICIES:
            statements = speed["parse_policy"](policy)
            if statements != iam_evaluator.parse_policy_document(policy):
                found.append(f"statements of {policy}")
            statements.clear()
    copied, expected = speed["copy_item"](ITEM), copy.deepcopy(ITEM)
    if copied != expected:
        found.append("a copy")
    copied["entries"]["L"][1]["M"].clear()
    copied["other"][1].clear()
    if expected != ITEM:
        found.append("a copy that shares a part")
    return found


json.dump(differences(runpy.run_path(sys.argv[1])), sys.stdout)
