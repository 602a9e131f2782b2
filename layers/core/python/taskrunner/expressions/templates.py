"""Templates: text with expressions in `{{ }}`, and parameters with such texts anywhere in them.

Planning resolves the templates that read inputs alone; a step fills in the others when it is
reached. The rest of a plan never sees `{{`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner.expressions.allowance import Allowance
from taskrunner.expressions.errors import ExpressionError
from taskrunner.expressions.parser import Expression, parse
from taskrunner.expressions.tokens import closing_braces
from taskrunner.model import json_path
from taskrunner.model.canonical_json import canonical_text
from taskrunner.model.plan import Template
from taskrunner.model.wording import kind_of, shortened
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from taskrunner.expressions.names import Reference
    from taskrunner.model.json_path import JsonPath
    from taskrunner.model.json_types import Json, JsonMapping

_BRACES: Final = "{{"


@dataclass(frozen=True, slots=True)
class TemplateText:
    """One text, split into plain text and expressions."""

    pieces: tuple[str | Expression, ...]

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """The expressions in the text."""
        return tuple(piece for piece in self.pieces if isinstance(piece, Expression))

    @property
    def references(self) -> tuple[Reference, ...]:
        """The names that the expressions read."""
        return tuple(name for expression in self.expressions for name in expression.references)

    def render(self, context: JsonMapping, allowance: Allowance | None = None) -> Json:
        """Return the text with its expressions evaluated in *context*.

        A text that is one whole expression keeps the type of its value. Inside longer text a value
        becomes text. All expressions share one *allowance*.

        Raises:
            ExpressionError: an expression cannot be evaluated.
        """
        allowance = allowance or Allowance()
        if len(self.pieces) == 1 and isinstance(self.pieces[0], Expression):
            return self.pieces[0].evaluate(context, allowance)
        return "".join(
            as_text(piece.evaluate(context, allowance)) if isinstance(piece, Expression) else piece
            for piece in self.pieces
        )


def split(text: str) -> TemplateText:
    """Split *text* where its expressions begin and end.

    Raises:
        ExpressionError: a `{{` is never closed, or what it holds is not a valid expression.
    """
    pieces: list[str | Expression] = []
    position = 0
    while (start := text.find(_BRACES, position)) >= 0:
        end = closing_braces(text, start + len(_BRACES))
        if end < 0:
            raise ExpressionError("'{{' is never closed by '}}'")
        if start > position:
            pieces.append(text[position:start])
        pieces.append(parse(text[start + len(_BRACES) : end]))
        position = end + len(_BRACES)
    if position < len(text) or not pieces:
        pieces.append(text[position:])
    return TemplateText(tuple(pieces))


def texts(value: Json, path: JsonPath = ()) -> Iterator[tuple[JsonPath, str]]:
    """Yield every text in *value* that is a template, with its path."""
    if isinstance(value, str):
        if _BRACES in value:
            yield path, value
    elif isinstance(value, dict):
        for key, child in value.items():
            yield from texts(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from texts(child, (*path, index))


def _reads_inputs_alone(expression: Expression) -> bool:
    return expression.reads_inputs_alone


def resolve(
    value: Json,
    inputs: JsonMapping,
    allowance: Allowance | None = None,
    is_decided: Callable[[Expression], bool] = _reads_inputs_alone,
) -> Template:
    """Evaluate the templates in *value* that are decided by *inputs*, and leave the others open.

    All of them share one *allowance*.

    Raises:
        ExpressionError: an expression cannot be evaluated with these inputs.
    """
    still_open: dict[str, str] = {}
    shared = allowance or Allowance()

    def resolved(node: Json, path: JsonPath) -> Json:
        if isinstance(node, dict):
            return {key: resolved(child, (*path, key)) for key, child in node.items()}
        if isinstance(node, list):
            return [resolved(child, (*path, index)) for index, child in enumerate(node)]
        if not isinstance(node, str) or _BRACES not in node:
            return node
        text = split(node)
        if all(is_decided(expression) for expression in text.expressions):
            return text.render({"inputs": inputs}, shared)
        still_open[json_path.pointer(path)] = node
        return None

    return Template(resolved(value, ()), still_open)


def fill(parameters: Template, context: JsonMapping) -> Json:
    """Return *parameters* with their open templates evaluated; all of them share one allowance.

    Raises:
        ExpressionError: an expression cannot be evaluated in this context, or the one that is the
            whole of the parameters gives no object.
    """
    if not parameters.open:
        return parameters.value
    shared = Allowance()

    def filled(node: Json, path: JsonPath) -> Json:
        if (text := parameters.open.get(json_path.pointer(path))) is not None:
            return split(text).render(context, shared)
        if isinstance(node, dict):
            return {key: filled(child, (*path, key)) for key, child in node.items()}
        if isinstance(node, list):
            return [filled(child, (*path, index)) for index, child in enumerate(node)]
        return node

    value = filled(parameters.value, ())
    if (text := parameters.open.get("")) is not None and not isinstance(value, dict):
        raise ExpressionError(no_object(text, value))
    return value


def member(parameters: Template, name: str, context: JsonMapping) -> Json:
    """Return one member of *parameters*, filled in as by `fill`; None if there is none.

    Raises:
        ExpressionError: it cannot be evaluated in this context.
    """
    if (whole := parameters.open.get("")) is not None:
        value = fill(Template(None, {"": whole}), context)
        return value.get(name) if isinstance(value, dict) else None
    if not isinstance(parameters.value, dict):
        return None
    pointer = json_path.pointer((name,))
    still_open = {
        path.removeprefix(pointer): text
        for path, text in parameters.open.items()
        if path == pointer or path.startswith(f"{pointer}/")
    }
    if not still_open:
        return parameters.value.get(name)
    # Below a key, so that a member that is one whole expression may be anything.
    below = {f"/value{path}": text for path, text in still_open.items()}
    filled = fill(Template({"value": parameters.value.get(name)}, below), context)
    return filled["value"] if isinstance(filled, dict) else None


def no_object(text: str, value: Json) -> str:
    """Return why the template *text*, which gives *value*, cannot be the whole of a `with`."""
    return f"'with' must become an object, and {shortened(text, 200)} gives {kind_of(value)}"


def references(parameters: Template) -> tuple[Reference, ...]:
    """Return the names that the open templates of *parameters* read, each once."""
    names = (name for text in parameters.open.values() for name in split(text).references)
    return tuple(dict.fromkeys(names))


def secrets(names: Iterable[Reference]) -> list[str]:
    """Return the secrets among the *names* that expressions read, each once, by its own name."""
    return list(dict.fromkeys(name[1] for name in names if name[0] == "secrets" and len(name) > 1))


def as_text(value: Json) -> str:
    """Return *value* as it stands inside longer text: nothing for null, JSON for what has parts."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return canonical_text(value)
