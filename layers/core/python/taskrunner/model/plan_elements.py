"""The elements of a plan document that are compared: its steps, approvals, policies, and so on.

A step is compared without the steps in it, which are elements themselves. Its parameters and the
texts that the run fills in are joined, as the pack has them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from taskrunner.model.json_path import pointer
from taskrunner.model.plan_change import Part, Place, PlanValue

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from taskrunner.model.json_types import Json, JsonMapping, JsonObject

# The members of a step's document that have other steps, and those that make up its parameters.
_NESTED: Final = frozenset({"steps", "branch", "branches", "else"})
_PARAMETERS: Final = frozenset({"with", "open"})


class Text(NamedTuple):
    """The text of a template, in a value of parameters."""

    template: str


class Missing:
    """The value of a member or an element that there is not."""


MISSING: Final = Missing()
# JSON with a Text for each of its templates, or MISSING. JSON is Any, because it is recursive.
Node: TypeAlias = Any


class Element(NamedTuple):
    """A step, approval, policy, secret or output, without the steps in it."""

    place: Place
    fields: JsonObject


def elements(part: Part, plan: JsonMapping) -> Mapping[str, Element]:
    """Return the elements of *part* by id, in the order of the plan."""
    if part is Part.STEPS:
        final = plan.get("finally", ())
        return dict([*_steps(plan["steps"], None, "/steps"), *_steps(final, None, "/finally")])
    listed: list[JsonObject] = list(plan.get(part.value, ()))
    if part is Part.SECRETS:
        listed = [{"name": name} for name in plan.get("secrets", ())]
    key = "name" if part in {Part.SECRETS, Part.OUTPUTS} else "id"
    return {
        element[key]: Element(
            Place(None, f"/{part.value}", index),
            {name: value for name, value in without_null(element).items() if name != key},
        )
        for index, element in enumerate(listed)
    }


def _steps(
    steps: Sequence[JsonObject], parent_id: str | None, list_pointer: str
) -> Iterator[tuple[str, Element]]:
    """Yield *steps* and all steps in them, each before its children."""
    for index, step in enumerate(steps):
        yield step["id"], Element(Place(parent_id, list_pointer, index), _own_fields(step))
        for name in ("steps", "branch", "else"):
            yield from _steps(step.get(name, ()), step["id"], f"/{name}")
        for number, branch in enumerate(step.get("branches", ())):
            yield from _steps(branch["steps"], step["id"], f"/branches/{number}/steps")


def _own_fields(step: JsonObject) -> JsonObject:
    fields = {
        name: value
        for name, value in step.items()
        if value is not None and name not in {"id", *_NESTED, *_PARAMETERS}
    }
    if "open" in step:
        fields["with"] = _parameters(step["with"], step["open"], ())
    if "branches" in step:
        fields["branches"] = [
            {name: value for name, value in branch.items() if name != "steps" and value is not None}
            for branch in step["branches"]
        ]
    return fields


def _parameters(value: Json, still_open: JsonMapping, path: tuple[str | int, ...]) -> Json:
    """Return *value* with the templates that *still_open* has for places in it."""
    if not still_open:
        return value
    if (text := still_open.get(pointer(path))) is not None:
        return Text(text)
    if isinstance(value, dict):
        return {k: _parameters(child, still_open, (*path, k)) for k, child in value.items()}
    if isinstance(value, list):
        return [_parameters(child, still_open, (*path, i)) for i, child in enumerate(value)]
    return value


def shown(value: Node) -> PlanValue:
    """Return *value* with the texts of its templates."""
    found: list[Text] = []

    def filled(node: Node) -> Json:
        if isinstance(node, Text):
            found.append(node)
            return node.template
        if isinstance(node, dict):
            return {key: filled(child) for key, child in node.items()}
        if isinstance(node, list):
            return [filled(child) for child in node]
        return node

    return PlanValue(filled(value), bool(found))


def without_null(value: Json) -> Json:
    """Return *value* without the members that are null, which in these parts means absent."""
    if isinstance(value, dict):
        return {key: without_null(child) for key, child in value.items() if child is not None}
    if isinstance(value, list):
        return [without_null(child) for child in value]
    return value
