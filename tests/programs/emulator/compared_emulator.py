"""Compare MiniStack's functions with those that replace them, and print what differs as JSON.

test_speed.py runs it in the emulator's environment.
"""

import copy
import json
import queue
import re
import runpy
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ministack.core import iam_evaluator
from ministack.services import dynamodb
from ministack.services.cloudformation import engine
from samtranslator.translator.transform import transform

# Expressions for our own tables, and one with each kind of fault.
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
TEMPLATES = [
    Path("template.yaml").read_text(encoding="utf-8"),
    "a: !Ref b\nc: !GetAtt d.e.f\ng: !GetAtt [h, i]\nj: !Sub ['${k}', {k: !If [l, m, 'n']}]",
    "AWSTemplateFormatVersion: 2010-09-09\na: &b {c: 1_000}\nd: {<<: *b, e: 0o17, f: 1e3}",
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
    return found


def miscopied_items(speed: dict[str, Any]) -> list[str]:
    """Return what differs from a deep copy."""
    found = []
    copied, expected = speed["copy_item"](ITEM), copy.deepcopy(ITEM)
    if copied != expected:
        found.append("a copy")
    if speed["copy_item"]({"n": Decimal(1)}) != {"n": Decimal(1)}:
        found.append("a copy of what is not JSON")
    copied["entries"]["L"][1]["M"].clear()
    copied["other"][1].clear()
    if expected != ITEM:
        found.append("a copy that shares a part")
    return found


def misread_templates(speed: dict[str, Any]) -> list[str]:
    """Return what differs from MiniStack in templates."""
    loaders = speed["TemplateLoader"], engine.CfnLoader
    read = ([engine.yaml.load(text, Loader=each) for each in loaders] for text in TEMPLATES)
    return [f"the template {values}" for values in read if values[0] != values[1]]


def mistransformed_templates(speed: dict[str, Any]) -> list[str]:
    """Return what differs from SAM's own transform, in the first call or a later one."""
    stored = re.sub(r"(CodeUri|ContentUri|DefinitionUri): [^{\s]+", r"\1: s3://a/b", TEMPLATES[0])
    found = []
    for text in (stored, stored.replace("s3://a/b", "s3://a/c")):
        template = engine.yaml.load(text, Loader=engine.CfnLoader)
        expected = transform(copy.deepcopy(template), {}, engine._NO_IAM_POLICY_LOADER)
        for call in range(3):
            got = speed["transform"](copy.deepcopy(template), {}, engine._NO_IAM_POLICY_LOADER)
            if got != expected:
                found.append(f"the transformed template of call {call}")
            got["Resources"].clear()
    return found


# For each line that it reads, this writes three lines to its log, and then one to another pipe.
TALKER = """
import sys
for number in sys.stdin:
    sys.stderr.write(f"{number.strip()} a\\r\\n{number.strip()} b\\n\\n")
    sys.stderr.flush()
    sys.stdout.write("done\\n")
    sys.stdout.flush()
sys.stderr.write("the end")
"""


def lost_lines(process: dict[str, Any]) -> list[str]:
    """Return what is missing in the log of a function after its answer."""
    talker = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", TALKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert talker.stdin
    assert talker.stdout
    lines: queue.Queue[str] = queue.Queue(maxsize=10)
    worker = SimpleNamespace(_stderr_queue=lines, _proc=SimpleNamespace(stdout=talker.stderr))
    pump = threading.Thread(target=process["pump_output"], args=(worker, talker.stderr, lines))
    pump.start()
    found = []
    for number in range(300):
        talker.stdin.write(f"{number}\n".encode())
        talker.stdin.flush()
        talker.stdout.readline()
        log = process["drain_log"](worker)
        if log != f"{number} a\n{number} b\n":
            found.append(f"the log of call {number} is {log!r}")
    for _ in range(5):
        talker.stdin.write(b"more\n")
        talker.stdin.flush()
        talker.stdout.readline()
    talker.stdin.close()
    pump.join()
    last = process["drain_log"](worker).split("\n")
    if last != ["", *["more a", "more b", ""] * 3, "the end"][-10:]:
        found.append(f"the last lines are {last}")
    return found


speed, process = map(runpy.run_path, sys.argv[1:])
found = differences(speed) + miscopied_items(speed)
found += misread_templates(speed) + mistransformed_templates(speed)
json.dump(found + lost_lines(process), sys.stdout)
