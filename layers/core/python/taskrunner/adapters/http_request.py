"""A request to the API: API Gateway's proxy event as a value, and the checks of its parts."""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from taskrunner.adapters.http_address import base_url
from taskrunner.adapters.http_body import Body, refuse_unknown
from taskrunner.errors import InvalidRequestError
from taskrunner.model.json_types import RepeatedMemberError, read
from taskrunner.model.run import RUN_ID, RUN_ID_RULE
from taskrunner.model.wording import shortened
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from taskrunner.model.caller import Caller
    from taskrunner.model.json_types import JsonMapping

MAX_BODY_BYTES: Final = 1024 * 1024
_JSON: Final = "application/json"
_TENANT_HEADER: Final = "x-stellaops-tenant"
# Headers that decide what a request does. Others may be repeated (RFC 9110, section 5.3).
_SINGLE_HEADERS: Final = {
    _TENANT_HEADER: "X-StellaOps-Tenant",
    "idempotency-key": "Idempotency-Key",
}
_MAX_LIMIT_DIGITS: Final = 5
_MAX_NAME_CHARACTERS: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request of an identified caller. Header names are in lower case, *path* is decoded.

    *base_url* is the API's, as the caller has reached it. *body* is empty until `accepting` reads
    it from *raw_body*.
    """

    method: str
    resource: str
    base_url: str
    caller: Caller
    path: Mapping[str, str]
    query: Mapping[str, Sequence[str]]
    headers: Mapping[str, str]
    raw_body: str | bytes | None
    body: Body = Body({})

    def accepting(
        self,
        query: Collection[str],
        members: Collection[str] | None,
        *,
        is_body_optional: bool = False,
    ) -> Request:
        """Return the request with its body, if it consists of what its operation takes.

        *query* are the names of its query parameters, and *members* those of the members of its
        body, or None if it takes no body. A body without members is accepted then, because some
        clients send one with every POST.

        Raises:
            InvalidRequestError: it has another parameter or member, one of them twice, or a body
                that cannot be read.
        """
        self._check_query(query)
        has_body = bool((self.raw_body or "").strip())
        if is_body_optional and not has_body:
            return self
        if members is None and (self.method == "GET" or not has_body):
            return self
        body = self._read_body()
        refuse_unknown("member", body.members, members or ())
        return replace(self, body=body)

    def _check_query(self, names: Collection[str]) -> None:
        refuse_unknown("query parameter", self.query, names)
        for name, values in self.query.items():
            if len(values) > 1:
                message = f"the query parameter '{name}' is given twice; send one"
                raise InvalidRequestError("invalid_request", message)

    def parameter(self, name: str) -> str | None:
        """Return the query parameter *name*, or None if the request does not have it."""
        values = self.query.get(name)
        return values[0] if values else None

    def tenant(self, tenant_in_body: str | None = None) -> str:
        """Return the tenant that the request is for; see `Caller.tenant`."""
        return self.caller.tenant(self.tenant_header(), tenant_in_body)

    def tenant_header(self) -> str | None:
        """Return the tenant that the header names, or None."""
        return self.headers.get(_TENANT_HEADER)

    def run_id(self) -> str:
        """Return the run id in the path.

        Raises:
            InvalidRequestError: no run can have this id.
        """
        run_id = self.path["runId"]
        if not RUN_ID.fullmatch(run_id):
            raise InvalidRequestError("invalid_request", RUN_ID_RULE)
        return run_id

    def _read_body(self) -> Body:
        """Return the body.

        Raises:
            InvalidRequestError: wrong content type, too large, not JSON, not an object, or a member
                is given twice, at any depth.
        """
        self._check_content_type()
        raw = self.raw_body or ""
        content = raw.encode(errors="surrogatepass") if isinstance(raw, str) else raw
        if len(content) > MAX_BODY_BYTES:
            message = f"the body has {len(content)} bytes; at most {MAX_BODY_BYTES} are allowed"
            raise InvalidRequestError("body_too_large", message)
        try:
            # JSON is UTF-8 (RFC 8259, section 8.1). Given bytes, json.loads would accept UTF-16.
            document = read(content.decode("utf-8-sig"))
        except RepeatedMemberError as repeated:
            shown = shortened(repeated.name, _MAX_NAME_CHARACTERS)
            message = f"'{shown}' is given twice in one object of the body; send it once"
            raise InvalidRequestError("invalid_request", message) from None
        except (ValueError, RecursionError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise InvalidRequestError("bad_json", f"the body is not JSON: {reason}") from None
        if not isinstance(document, dict):
            raise InvalidRequestError("invalid_request", "the body must be a JSON object")
        return Body(document)

    def _check_content_type(self) -> None:
        media_type = self.headers.get("content-type", "").split(";")[0].strip().lower()
        if media_type != _JSON:
            problem = f"not {media_type[:80]}" if media_type else "and the header is missing"
            message = f"Content-Type must be {_JSON}, {problem}"
            raise InvalidRequestError("unsupported_media_type", message)

    def limit(self, most: int, name: str = "limit") -> int | None:
        """Return the query's `limit`, from 1 to *most*, or None if it has none.

        *name* is that of another parameter that limits in the same way.

        Raises:
            InvalidRequestError: it is not such a number.
        """
        text = self.parameter(name)
        if text is None:
            return None
        is_number = text.isascii() and text.isdigit() and len(text) <= _MAX_LIMIT_DIGITS
        if not (is_number and 1 <= int(text) <= most):
            raise InvalidRequestError("invalid_request", f"{name} is a number from 1 to {most}")
        return int(text)


def read_request(event: JsonMapping, identify: Callable[[JsonMapping], Caller]) -> Request:
    """Return the request of a proxy event; *identify* finds the caller in its request context.

    Raises:
        InvalidRequestError: the body cannot be decoded, or two tenants or keys are given.
    """
    raw_body = _raw_body(event)
    _check_single_headers(event)
    return Request(
        method=event["httpMethod"],
        resource=event["resource"],
        base_url=base_url(event),
        caller=identify(event.get("requestContext") or {}),
        # API Gateway hands them over as they were sent.
        path={name: unquote(text) for name, text in (event.get("pathParameters") or {}).items()},
        query=_query(event),
        headers={str(name).lower(): text for name, text in (event.get("headers") or {}).items()},
        raw_body=raw_body,
    )


def _raw_body(event: JsonMapping) -> str | bytes | None:
    text: str | None = event.get("body")
    if text is None or not event.get("isBase64Encoded"):
        return text
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequestError("bad_json", "the body is not readable") from None


def _query(event: JsonMapping) -> dict[str, Sequence[str]]:
    """The query parameters, without those that sign the request of an AWS principal."""
    single = event.get("queryStringParameters") or {}
    query: dict[str, Sequence[str]] = {name: [text] for name, text in single.items()}
    query |= event.get("multiValueQueryStringParameters") or {}
    identity = (event.get("requestContext") or {}).get("identity") or {}
    if identity.get("userArn"):
        return {name: texts for name, texts in query.items() if not _signs(name)}
    return query


def _signs(parameter: str) -> bool:
    return parameter.lower().startswith("x-amz-")


def _check_single_headers(event: JsonMapping) -> None:
    """Refuse two values of a header, in one spelling of its name or in several."""
    single, multiple = event.get("headers") or {}, event.get("multiValueHeaders") or {}
    for header, name in _SINGLE_HEADERS.items():
        values = {text for key, text in single.items() if key.lower() == header}
        for key, texts in multiple.items():
            if key.lower() == header:
                values |= set(texts)
        if len(values) > 1:
            message = f"{name} is given twice with different values; send one"
            raise InvalidRequestError("invalid_request", message)
