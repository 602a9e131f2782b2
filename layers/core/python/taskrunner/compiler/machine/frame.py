"""The frame of every machine: statemachine/pack_run.asl.yaml, and a deployment's functions in it.

The frame names functions as `${Name}`. A deployment replaces these names by ARNs in its own copy of
the frame, which is how `create_run` finds the functions of its deployment.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import yaml

from taskrunner.errors import TryAgainError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskrunner.model.json_types import Json, JsonObject

FRAME: Final = "Pack steps"
DONE: Final = "Steps done"
_PLACEHOLDER: Final = "${"


@cache
def frame() -> JsonObject:
    """Return the frame as it is written; do not change it, clone it."""
    text = files(__package__).joinpath("pack_run.asl.yaml").read_text(encoding="utf-8")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document: JsonObject = yaml.load(text, Loader=loader)  # noqa: S506 - both are safe
    return document


def prototypes() -> JsonObject:
    """Return the states to clone, by name."""
    states: JsonObject = frame()["States"][FRAME]["Branches"][0]["States"]
    return states


def bind(definition: JsonObject, functions: Mapping[str, str]) -> JsonObject:
    """Return *definition* with each `${Name}` replaced by the ARN that *functions* has for it."""

    def bound(node: Json) -> Json:
        if isinstance(node, dict):
            # A comment is the author's text, whatever it begins with. A step may be called Comment.
            return {
                key: child if key == "Comment" and isinstance(child, str) else bound(child)
                for key, child in node.items()
            }
        if isinstance(node, list):
            return [bound(child) for child in node]
        if isinstance(node, str) and node.startswith(_PLACEHOLDER):
            return functions[_name(node)]
        return node

    result: JsonObject = bound(definition)
    return result


def bindings(deployed: JsonObject) -> dict[str, str]:
    """Return the ARN that a deployment put in place of each `${Name}`, read off its frame.

    Raises:
        TryAgainError: *deployed* does not have the frame's shape. A deployment is under way, which
            changes this machine before the functions that read it.
    """
    arns: dict[str, str] = {}

    def compare(ours: Json, theirs: Json) -> None:
        if isinstance(ours, dict):
            for key, child in ours.items():
                compare(child, theirs[key])
        elif isinstance(ours, list):
            for our_child, their_child in zip(ours, theirs, strict=True):
                compare(our_child, their_child)
        elif isinstance(ours, str) and ours.startswith(_PLACEHOLDER):
            arns[_name(ours)] = theirs

    try:
        compare(frame(), deployed)
    except (KeyError, TypeError, ValueError):
        message = "the prototype machine is of another release; its deployment is under way"
        raise TryAgainError(message) from None
    return arns


def _name(placeholder: str) -> str:
    return placeholder[len(_PLACEHOLDER) : -1]
