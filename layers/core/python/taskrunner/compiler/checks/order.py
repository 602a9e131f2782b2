"""The reason why one step does not always end before another starts, by their places in a pack."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskrunner.compiler.manifest.step_shapes import StepShape
    from taskrunner.model.json_path import JsonPath


def why_not_earlier(
    read: JsonPath, reader: JsonPath, steps: Mapping[JsonPath, StepShape]
) -> str | None:
    """Return why the step at *read* has not ended when the one at *reader* reads it, and the cure.

    *steps* has the steps of the pack by their paths. None means that the paths do not show it.
    """
    common, name = _common(read, reader), f"'{steps[reader].id}'"
    earlier = f"read a step that ends before {name} starts"
    match reader[len(common) :], read[len(common) :]:
        case (), ():
            return f"cannot read itself; {earlier}"
        case (), _:
            return f"is inside {name} and starts later; {earlier}"
        case _, ():
            return f"holds {name} and ends after it; {earlier}"
        case ("steps", *_), ("finally", *_):
            return "is in spec.finally, which runs after the steps; only spec.finally can read it"
        case (int(first), *_), (int(second), *_) if common[-1] != "branches" and (
            common[-2:] != ("parallel", "steps")
        ):
            return f"starts after {name}; move it before {name}" if second > first else None
        case _:
            return _in_another_branch(common, steps)


def _in_another_branch(common: JsonPath, steps: Mapping[JsonPath, StepShape]) -> str | None:
    """Return why a step in another branch of the block at *common* cannot be read, and the cure."""
    path = common[:-1] if common[-1] == "conditional" else common[:-2]
    if path not in steps:
        return None
    block = steps[path]
    match block.body.kind:
        case "conditional":
            return (
                f"is in another branch of '{block.id}', and only one branch runs; read a step of "
                f"the same branch, or one before '{block.id}'"
            )
        case "parallel":
            return (
                f"is in another branch of '{block.id}' and runs at the same time; put both steps "
                f"in one of its branches, or read it after '{block.id}'"
            )
        case _:
            return None


def _common(left: JsonPath, right: JsonPath) -> JsonPath:
    pairs = zip(left, right, strict=False)
    length = next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))
    return left[:length]
