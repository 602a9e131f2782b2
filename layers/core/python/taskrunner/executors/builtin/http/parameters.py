"""The parameters of `builtin:http`, and what a request may contain."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from taskrunner.executors.builtin.http import web_address
from taskrunner.executors.builtin.http.web_address import WebAddressError
from taskrunner.executors.parameters import ClosedParameters
from taskrunner.model.json_types import Json, unusable

if TYPE_CHECKING:
    from typing import Self

_MAX_HEADERS: Final = 50
_MAX_HEADER_CHARACTERS: Final = 8000
# A field name and a field value of RFC 9110, section 5; a value of printable ASCII only.
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE: Final = re.compile(r"(?:[!-~](?:[\t -~]*[!-~])?)?")
# The executor sets the headers that carry the message, and there is no proxy to speak to.
_RESERVED_HEADERS: Final = frozenset(
    {
        "accept-encoding", "connection", "content-length", "expect", "host", "keep-alive",
        "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade", "via",
    }
)  # fmt: skip


def _web_address(text: str) -> str:
    try:
        web_address.read(text)
    except WebAddressError as error:
        raise PydanticCustomError("url", "{problem}", {"problem": str(error)}) from None
    return text


def _usable_headers(headers: dict[str, str]) -> dict[str, str]:
    """Report each bad header at its own place, without its value, which may be a secret."""
    first_spelling: dict[str, str] = {}
    for name in headers:
        first_spelling.setdefault(name.lower(), name)
    errors: list[InitErrorDetails] = [
        {
            "type": PydanticCustomError("header", "{problem}", {"problem": problem}),
            "loc": (name,),
            "input": name,
        }
        for name, value in headers.items()
        if (problem := _header_problem(name, value, first_spelling[name.lower()])) is not None
    ]
    if errors:
        raise ValidationError.from_exception_data("headers", errors)
    return headers


def _header_problem(name: str, value: str, first_spelling: str) -> str | None:
    if _HEADER_NAME.fullmatch(name) is None:
        return "it is not a header name; use letters, digits and '-'"
    if name.lower() in _RESERVED_HEADERS:
        return "it cannot be set by a pack; the request gets the right value by itself"
    if first_spelling != name:
        return f"it is set twice; '{first_spelling}' is the same header"
    if len(value) > _MAX_HEADER_CHARACTERS or _HEADER_VALUE.fullmatch(value) is None:
        return (
            "it has a value that no header can have; use at most "
            f"{_MAX_HEADER_CHARACTERS} printable ASCII characters, without a space or a line break "
            "at either end"
        )
    return None


def _text_or_json(value: Json) -> Json:
    if not isinstance(value, str | dict | list):
        raise PydanticCustomError(
            "body", "it must be text, or an object or a list to send as JSON; or omit it"
        )
    if any(unusable(value)):
        raise PydanticCustomError("body", "it contains a value that JSON or UTF-8 cannot spell")
    return value


def _statuses(value: Json) -> tuple[int, ...]:
    statuses = value if isinstance(value, list) else [value]
    are_valid = all(type(status) is int and 200 <= status <= 599 for status in statuses)  # noqa: PLR2004 - HTTP's
    if not statuses or not are_valid:
        raise PydanticCustomError(
            "status", "it must be a status from 200 to 599, or a list of them"
        )
    return tuple(statuses)


class Parameters(ClosedParameters):
    """One request. An empty *expect_status* expects any 2xx; *body* is None for no body.

    *response_type* is what the response's body is taken as; None leaves it to the content type.
    """

    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET"
    url: Annotated[str, AfterValidator(_web_address)]
    headers: Annotated[
        dict[str, str], Field(max_length=_MAX_HEADERS), AfterValidator(_usable_headers)
    ] = Field(default={})
    body: Annotated[Json, AfterValidator(_text_or_json)] = None
    expect_status: Annotated[tuple[int, ...], BeforeValidator(_statuses)] = Field(
        default=(), alias="expectStatus"
    )
    response_type: Literal["json", "text", "file"] | None = Field(
        default=None, alias="responseType"
    )
    timeout_s: Annotated[float, Field(ge=1, le=300, allow_inf_nan=False)] = Field(
        default=30, alias="timeoutSeconds"
    )

    @model_validator(mode="after")
    def _no_body_for_get_and_head(self) -> Self:
        if self.body is not None and self.method in {"GET", "HEAD"}:
            raise PydanticCustomError(
                "body",
                "a {method} request has no body; remove the body, or use POST",
                {"method": self.method},
            )
        return self
