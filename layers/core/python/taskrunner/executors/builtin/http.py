"""`builtin:http` makes one request, and follows where it is redirected to.

Its connections are made by the parent process, which looks at each name and each address before;
here is the rest: what is asked, what of the answer is put out, and whether it is what was expected.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from taskrunner.executors.builtin import response
from taskrunner.executors.work import ClosedParameters, ExecutorFailure
from taskrunner.model import web_address
from taskrunner.model.json_types import Json, unusable
from taskrunner.model.web_address import WebAddressError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from typing import Self

    from taskrunner.executors.work import Work
    from taskrunner.model.json_types import JsonObject

_MAX_HEADERS: Final = 50
_MAX_REASON: Final = 100
_MAX_HEADER_CHARACTERS: Final = 8000
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_FIELD: Final = re.compile(r"(?:[!-~](?:[\t -~]*[!-~])?)?")
# What carries the message is ours, and what speaks to proxies has nobody to speak to.
_OURS: Final = frozenset(
    {
        "accept-encoding", "connection", "content-length", "expect", "host", "keep-alive",
        "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade", "via",
    }
)  # fmt: skip


def _an_address(text: str) -> str:
    try:
        web_address.read(text)
    except WebAddressError as error:
        raise PydanticCustomError("url", "{problem}", {"problem": str(error)}) from None
    return text


def _usable_headers(headers: dict[str, str]) -> dict[str, str]:
    """Tell each bad header at its own place, and of its value never more than that it is bad."""
    first: dict[str, str] = {}
    for name in headers:
        first.setdefault(name.lower(), name)
    found = {
        name: why
        for name, value in headers.items()
        if (why := _header_problem(name, value, first[name.lower()])) is not None
    }
    problems: list[InitErrorDetails] = [
        {
            "type": PydanticCustomError("header", "{problem}", {"problem": why}),
            "loc": (name,),
            "input": name,
        }
        for name, why in found.items()
    ]
    if problems:
        raise ValidationError.from_exception_data("headers", problems)
    return headers


def _header_problem(name: str, value: str, first: str) -> str | None:
    if _TOKEN.fullmatch(name) is None:
        return "is no header's name; that is letters, digits and '-'"
    if name.lower() in _OURS:
        return "is not for a pack to set; the request has the right one"
    if first != name:
        return "is there already, in other letters"
    if len(value) > _MAX_HEADER_CHARACTERS or _FIELD.fullmatch(value) is None:
        return (
            f"has a value that no header can have; that is at most {_MAX_HEADER_CHARACTERS} "
            "printable ASCII characters without a space or a line break at either end"
        )
    return None


def _a_body(value: Json) -> Json:
    if not isinstance(value, str | dict | list):
        raise PydanticCustomError(
            "body", "it is text, or an object or a list that is sent as JSON; or leave it out"
        )
    if any(unusable(value)):
        raise PydanticCustomError("body", "it holds something that JSON and UTF-8 cannot spell")
    return value


def _statuses(value: Json) -> tuple[int, ...]:
    given = value if isinstance(value, list) else [value]
    fine = all(type(one) is int and 200 <= one <= 599 for one in given)  # noqa: PLR2004 - HTTP's
    if not given or not fine:
        raise PydanticCustomError("status", "it is a status from 200 to 599, or a list of them")
    return tuple(given)


class Parameters(ClosedParameters):
    """One request. *expect_status* is empty for any 2xx; *body* is None for no body."""

    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET"
    url: Annotated[str, AfterValidator(_an_address)]
    headers: Annotated[
        dict[str, str], Field(max_length=_MAX_HEADERS), AfterValidator(_usable_headers)
    ] = Field(default={})
    body: Annotated[Json, AfterValidator(_a_body)] = None
    expect_status: Annotated[tuple[int, ...], BeforeValidator(_statuses)] = Field(
        default=(), alias="expectStatus"
    )
    timeout_s: Annotated[float, Field(ge=1, le=300, allow_inf_nan=False)] = Field(
        default=30, alias="timeoutSeconds"
    )

    @model_validator(mode="after")
    def _only_some_have_a_body(self) -> Self:
        if self.body is not None and self.method in {"GET", "HEAD"}:
            raise PydanticCustomError(
                "body", "a {method} has no body; remove it, or say POST", {"method": self.method}
            )
        return self


def execute(parameters: Parameters, work: Work) -> JsonObject:
    """Return `{status, headers, body}`; a body that does not fit there is in `/output`.

    Raises:
        ExecutorFailure: there was no answer, or its status is not the expected one.
        EgressDenied: the sandbox does not allow the host, or one that it redirects to.
    """
    return perform(parameters, work, _trusting_the_system)


def perform(parameters: Parameters, work: Work, tls: Callable[[], ssl.SSLContext]) -> JsonObject:
    """Do what `execute` does, trusting whom *tls* trusts."""
    # Here, because a pack that is only planned needs neither TLS nor a reader of HTTP.
    from taskrunner.executors.builtin.exchange import Deadline, Request  # noqa: PLC0415
    from taskrunner.executors.builtin.redirects import request_and_follow  # noqa: PLC0415

    first = Request(
        parameters.method,
        web_address.read(parameters.url),
        *_headers_and_body(parameters),
    )
    received = work.scratch / response.FILE_NAME
    last, answer = request_and_follow(
        first,
        parameters.expect_status,
        body=received,
        network=work.network,
        deadline=Deadline(min(parameters.timeout_s, work.time_s)),
        tls=tls,
    )
    if not _is_expected(answer.status, parameters.expect_status):
        said = response.excerpt(answer, received)
        response.keep(received, work)
        wanted = " or ".join(str(one) for one in parameters.expect_status) or "2xx"
        reason = answer.reason if len(answer.reason) <= _MAX_REASON else ""
        got = f"{answer.status} {reason}".rstrip()
        raise ExecutorFailure(f"expected {wanted}, got {got} from {last.address.origin}{said}")
    return response.outputs(answer, received, work)


def _trusting_the_system() -> ssl.SSLContext:
    import ssl  # noqa: PLC0415 - as above

    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _headers_and_body(parameters: Parameters) -> tuple[tuple[tuple[str, str], ...], bytes]:
    given = parameters.headers
    defaults = {"Accept": "*/*", "User-Agent": "taskrunner"}
    body = b""
    if isinstance(parameters.body, str):
        defaults["Content-Type"] = "text/plain; charset=utf-8"
        body = parameters.body.encode()
    elif parameters.body is not None:
        defaults["Content-Type"] = "application/json"
        body = json.dumps(parameters.body, ensure_ascii=False).encode()
    own = {name.lower() for name in given}
    defaults = {name: value for name, value in defaults.items() if name.lower() not in own}
    return (*given.items(), *defaults.items()), body


def _is_expected(status: int, expected: tuple[int, ...]) -> bool:
    return status in expected if expected else 200 <= status <= 299  # noqa: PLR2004 - HTTP's
