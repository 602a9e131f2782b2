"""The frame of every machine: statemachine/pack_run.asl.yaml, and what a deployment puts into it.

The frame names functions as `${Name}`, and AWS's partition in `arn:${Partition}:...`. A deployment
replaces these names in its own copy of the frame, which is how `create_run` finds the functions and
the partition of its deployment.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml

from taskrunner.errors import TryAgainError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskrunner.model.json_types import Json, JsonObject

FRAME: Final = "Pack steps"
DONE: Final = "Steps done"
SETTLE: Final = "Settle run"
# Only packs with `finally` have these.
BEGIN: Final = "Where to begin"
BEFORE_FINAL: Final = "Steps before"
BEFORE_FINAL_DONE: Final = "Steps before done"
STEPS_ENDED: Final = "Steps ended"
PARTITION: Final = "Partition"
_PLACEHOLDER: Final = "${"
_INTEGRATION: Final = f"arn:${{{PARTITION}}}:"


@cache
def frame() -> JsonObject:
    """Return the frame as it is written; do not change it, copy it."""
    # Not by importlib.resources, which would be a tenth of a cold start of simulate_pack.
    text = Path(__file__).with_name("pack_run.asl.yaml").read_text(encoding="utf-8")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document: JsonObject = yaml.load(text, Loader=loader)  # noqa: S506 - both are safe
    return document


def frame_copy() -> JsonObject:
    """Return a copy of the frame that may be changed, without its prototypes."""
    copy: JsonObject = json.loads(_frame_text())
    return copy


@cache
def _frame_text() -> str:
    """Return the frame without its prototypes as JSON, which is the fastest way to copy it."""
    states = frame()["States"]
    return json.dumps(frame() | {"States": states | {FRAME: states[FRAME] | {"Branches": []}}})


def prototypes() -> JsonObject:
    """Return the states to clone, by name."""
    states: JsonObject = frame()["States"][FRAME]["Branches"][0]["States"]
    return states


def bind(definition: JsonObject, values: Mapping[str, str]) -> JsonObject:
    """Return *definition* with each `${Name}` replaced by what *values* has for it.

    These are the ARNs of functions, and the partition.
    """

    def bound(node: Json) -> Json:
        if isinstance(node, str):
            if _PLACEHOLDER not in node:
                return node
            if node.startswith(_PLACEHOLDER):
                return values[_name(node)]
            if node.startswith(_INTEGRATION):
                return f"arn:{values[PARTITION]}:{node[len(_INTEGRATION) :]}"
            return node
        if isinstance(node, dict):
            # A comment is the author's text, whatever it begins with. A step may be called Comment.
            return {
                key: child if key == "Comment" and isinstance(child, str) else bound(child)
                for key, child in node.items()
            }
        if isinstance(node, list):
            return [bound(child) for child in node]
        return node

    result: JsonObject = bound(definition)
    return result


def bindings(deployed: JsonObject) -> dict[str, str]:
    """Return what a deployment put in place of each `${Name}`, read off its frame.

    Raises:
        TryAgainError: *deployed* does not have the frame's shape. A deployment is under way, which
            changes this machine before the functions that read it.

    """
    values: dict[str, str] = {}

    def compare(ours: Json, theirs: Json) -> None:
        if isinstance(ours, dict):
            for key, child in ours.items():
                compare(child, theirs[key])
        elif isinstance(ours, list):
            for our_child, their_child in zip(ours, theirs, strict=True):
                compare(our_child, their_child)
        elif isinstance(ours, str) and ours.startswith(_PLACEHOLDER):
            values[_name(ours)] = theirs
        elif isinstance(ours, str) and ours.startswith(_INTEGRATION):
            values[PARTITION] = theirs.split(":")[1]

    try:
        compare(frame(), deployed)
    except (LookupError, TypeError, ValueError):
        message = "the prototype machine is of another release; its deployment is under way"
        raise TryAgainError(message) from None
    return values


def _name(placeholder: str) -> str:
    return placeholder[len(_PLACEHOLDER) : -1]
