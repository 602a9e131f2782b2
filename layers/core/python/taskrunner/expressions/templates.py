"""Parameters with templates in them: resolved as far as is known, filled in when a step runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner import expressions
from taskrunner.model.plan import Template

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taskrunner.expressions.parser import Allowance, Reference
    from taskrunner.model.json_path import Path
    from taskrunner.model.json_types import Json, JsonMapping
    from taskrunner.model.plan import Plan, PolicyGate


def texts(value: Json, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every text in *value* that holds a template, with its path."""
    if isinstance(value, str):
        if "{{" in value:
            yield path, value
    elif isinstance(value, dict):
        for key, child in value.items():
            yield from texts(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from texts(child, (*path, index))


def resolve(value: Json, inputs: JsonMapping, allowance: Allowance | None = None) -> Template:
    """Evaluate every template that reads inputs alone; the others stay open, and null in the value.

    All of them share one *allowance*.

    Raises:
        ExpressionError: an expression cannot be evaluated on these inputs.
    """
    still_open: dict[str, str] = {}
    shared = allowance or expressions.Allowance()

    def resolved(node: Json, path: Path) -> Json:
        if isinstance(node, dict):
            return {key: resolved(child, (*path, key)) for key, child in node.items()}
        if isinstance(node, list):
            return [resolved(child, (*path, index)) for index, child in enumerate(node)]
        if not isinstance(node, str) or "{{" not in node:
            return node
        pieces = expressions.template(node)
        if all(reference[0] == "inputs" for reference in expressions.references(pieces)):
            return expressions.render(pieces, {"inputs": inputs}, shared)
        still_open[pointer(path)] = node
        return None

    return Template(resolved(value, ()), still_open)


def fill(template: Template, context: JsonMapping) -> Json:
    """Evaluate what is open in *template*; all of it shares one allowance.

    Raises:
        ExpressionError: an expression cannot be evaluated on this context.
    """
    shared = expressions.Allowance()

    def filled(node: Json, path: Path) -> Json:
        if (text := template.open.get(pointer(path))) is not None:
            return expressions.render(expressions.template(text), context, shared)
        if isinstance(node, dict):
            return {key: filled(child, (*path, key)) for key, child in node.items()}
        if isinstance(node, list):
            return [filled(child, (*path, index)) for index, child in enumerate(node)]
        return node

    return filled(template.value, ()) if template.open else template.value


def references(template: Template) -> tuple[Reference, ...]:
    """The names that the open templates read, each once."""
    found = (
        reference
        for text in template.open.values()
        for reference in expressions.references(expressions.template(text))
    )
    return tuple(dict.fromkeys(found))


def secrets(read: Iterable[Reference]) -> list[str]:
    """The names of the secrets among the names that are read, each once."""
    return list(dict.fromkeys(one[1] for one in read if one[0] == "secrets" and len(one) > 1))


def is_privileged(gate: PolicyGate, plan: Plan) -> bool:
    """Whether evaluating *gate* takes secrets or a function, which run_step alone may use.

    That is so whatever the inputs are, so that a machine may depend on it.
    """
    by_function = plan.policy(gate.policy_id).uses is not None
    return by_function or bool(secrets(references(gate.parameters)))


def pointer(path: Path) -> str:
    """*path* as a JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
