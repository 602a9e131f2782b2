"""The parameters of `builtin:http`, and what a request may contain."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from taskrunner.executors.arguments import KEY
from taskrunner.executors.builtin.http import web_address
from taskrunner.executors.builtin.http.web_address import WebAddressError
from taskrunner.executors.parameters import ClosedParameters
from taskrunner.model.json_types import Json, unusable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskrunner.executors.parameters import Given
    from taskrunner.model.json_path import JsonPath

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


def _header_name(name: str) -> str:
    if _HEADER_NAME.fullmatch(name) is None:
        raise PydanticCustomError(KEY, "it is not a header name; use letters, digits and '-'")
    if name.lower() in _RESERVED_HEADERS:
        message = "it cannot be set by a pack; the request gets the right value by itself"
        raise PydanticCustomError(KEY, message)
    return name


def _header_value(value: str) -> str:
    """Refuse a value without naming it, because it may be a secret."""
    if len(value) > _MAX_HEADER_CHARACTERS or _HEADER_VALUE.fullmatch(value) is None:
        raise PydanticCustomError(
            "header",
            "it has a value that no header can have; use at most {most} printable ASCII characters,"
            " without a space or a line break at either end",
            {"most": _MAX_HEADER_CHARACTERS},
        )
    return value


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
    headers: dict[
        Annotated[str, AfterValidator(_header_name)], Annotated[str, AfterValidator(_header_value)]
    ] = Field(default={}, max_length=_MAX_HEADERS)
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

    @classmethod
    def contradictions(cls, given: Given) -> Iterator[tuple[JsonPath, str]]:
        """Yield a body that the method does not have, and headers that are set twice."""
        method = given.known("method") if "method" in given.values else "GET"
        if given.has("body") and method in ("GET", "HEAD"):
            yield (), f"a {method} request has no body; remove the body, or use POST"
        headers = given.values.get("headers")
        spellings: dict[str, str] = {}
        for name in headers if isinstance(headers, dict) else ():
            first = spellings.setdefault(name.lower(), name)
            if first != name:
                yield ("headers", name), f"it is set twice; '{first}' is the same header"
