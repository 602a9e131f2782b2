"""The body of a request: a JSON object, and the checks of its members."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner.errors import InvalidRequestError
from taskrunner.model.json_types import has_lone_surrogate
from taskrunner.model.wording import nearest, shortened
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from taskrunner.model.json_types import Json, JsonMapping, JsonObject

_MAX_NAME_CHARACTERS: Final = 80


@dataclass(frozen=True, slots=True)
class Body:
    """The members of a body that is a JSON object."""

    members: JsonMapping

    def text(self, name: str) -> str | None:
        """Return the text *name*, or None if the body does not have it.

        Raises:
            InvalidRequestError: it is null, of another type, or not valid Unicode.
        """
        value = self._member(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise InvalidRequestError("invalid_request", f"'{name}' must be a string")
        if has_lone_surrogate(value):
            raise InvalidRequestError("invalid_request", f"'{name}' holds a lone surrogate")
        return value

    def required_text(self, name: str) -> str:
        """Return the text *name*; raises InvalidRequestError like `text`, or if it is missing."""
        if self.members.get(name) is None:
            raise InvalidRequestError("invalid_request", f"'{name}' is missing; it is required")
        return self.text(name) or ""

    def texts(self, name: str, most: int) -> Sequence[str] | None:
        """Return the text *name*, or the list of 1 to *most* texts that it is; None without it.

        Raises:
            InvalidRequestError: it is null, of another type, or not valid Unicode.
        """
        value = self._member(name)
        if not isinstance(value, list):
            text = self.text(name)
            return None if text is None else [text]
        if not 1 <= len(value) <= most:
            message = f"'{name}' must be a string, or a list of 1 to {most} strings"
            raise InvalidRequestError("invalid_request", message)
        return [Body({name: item}).required_text(name) for item in value]

    def object(self, name: str) -> JsonObject:
        """Return the object *name*, or an empty one if the body does not have it.

        Raises:
            InvalidRequestError: it is null, or of another type.
        """
        value = self._member(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise InvalidRequestError("invalid_request", f"'{name}' must be an object")
        return value

    def objects(self, name: str, members: Collection[str], most: int) -> Sequence[Body]:
        """Return the objects of the list *name*, each with no other members than *members*.

        Raises:
            InvalidRequestError: it is not such a list, or has more than *most* objects.
        """
        value = self._member(name)
        if value is None:
            return []
        if not isinstance(value, list) or len(value) > most:
            message = f"'{name}' must be a list of at most {most} objects"
            raise InvalidRequestError("invalid_request", message)
        bodies = [Body(Body({name: item}).object(name)) for item in value]
        for body in bodies:
            refuse_unknown(f"member of '{name}'", body.members, members)
        return bodies

    def integer(self, name: str, default: int | None = None) -> int:
        """Return the whole number *name*; without it *default*.

        Raises:
            InvalidRequestError: it is missing and has no default, is null, or of another type.
        """
        value = self.number(name, default)
        if not isinstance(value, int):
            raise InvalidRequestError("invalid_request", f"'{name}' must be a whole number")
        return value

    def number(self, name: str, default: int | None = None) -> int | float:
        """Return the number *name*; raises InvalidRequestError like `integer`."""
        value = self._member(name)
        if value is None:
            value = default
        if value is None:
            raise InvalidRequestError("invalid_request", f"'{name}' is missing; it is required")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidRequestError("invalid_request", f"'{name}' must be a number")
        return value

    def _member(self, name: str) -> Json:
        value = self.members.get(name)
        if value is None and name in self.members:
            raise InvalidRequestError("invalid_request", f"'{name}' must not be null")
        return value


def refuse_unknown(kind: str, names: Iterable[str], known: Collection[str]) -> None:
    """Refuse names that are not *known*: the caller expects an effect that they do not have.

    Raises:
        InvalidRequestError: one is unknown; the message has the nearest name that is known.
    """
    unknown = [
        f"unknown {kind} '{shortened(name, _MAX_NAME_CHARACTERS)}'"
        + (nearest(name, known) or "; this request takes none")
        for name in names
        if name not in known
    ]
    if unknown:
        raise InvalidRequestError("invalid_request", shortened("; ".join(unknown)))
