"""A request to the API: API Gateway's proxy event as a value, and the checks of its parts."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from taskrunner.errors import InvalidRequestError
from taskrunner.model.json_types import read
from taskrunner.model.run import RUN_ID, RUN_ID_RULE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskrunner.model.caller import Caller
    from taskrunner.model.json_types import Json, JsonMapping, JsonObject

MAX_BODY_BYTES: Final = 1024 * 1024
_JSON: Final = "application/json"
_TENANT_HEADER: Final = "x-stellaops-tenant"
_MAX_LIMIT_DIGITS: Final = 5


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
            raise InvalidRequestError("invalid_request", f"'{name}' must be a text")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise InvalidRequestError("invalid_request", f"'{name}' holds a lone surrogate")
        return value

    def required_text(self, name: str) -> str:
        """Return the text *name*; raises InvalidRequestError like `text`, or if it is missing."""
        if self.members.get(name) is None:
            raise InvalidRequestError("invalid_request", f"'{name}' is missing; it is required")
        return self.text(name) or ""

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

    def _member(self, name: str) -> Json:
        value = self.members.get(name)
        if value is None and name in self.members:
            raise InvalidRequestError("invalid_request", f"'{name}' must not be null")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request of an identified caller. Header names are in lower case."""

    method: str
    resource: str
    caller: Caller
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw_body: str | bytes | None

    def tenant(self, tenant_in_body: str | None = None) -> str:
        """Return the tenant that the request is for; see `Caller.tenant`."""
        return self.caller.tenant(self.headers.get(_TENANT_HEADER), tenant_in_body)

    def run_id(self) -> str:
        """Return the run id in the path.

        Raises:
            InvalidRequestError: no run can have this id.
        """
        run_id = self.path["runId"]
        if not RUN_ID.fullmatch(run_id):
            raise InvalidRequestError("invalid_request", RUN_ID_RULE)
        return run_id

    def body(self) -> Body:
        """Return the body.

        Raises:
            InvalidRequestError: wrong content type, too large, not JSON, or not an object.
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

    def limit(self, most: int) -> int | None:
        """Return the query's `limit`, from 1 to *most*, or None if it has none.

        Raises:
            InvalidRequestError: it is not such a number.
        """
        text = self.query.get("limit")
        if text is None:
            return None
        is_number = text.isascii() and text.isdigit() and len(text) <= _MAX_LIMIT_DIGITS
        if not (is_number and 1 <= int(text) <= most):
            raise InvalidRequestError("invalid_request", f"limit is a number from 1 to {most}")
        return int(text)


def read_request(event: JsonMapping, identify: Callable[[JsonMapping], Caller]) -> Request:
    """Return the request of a proxy event; *identify* finds the caller in its request context.

    Raises:
        InvalidRequestError: the body cannot be decoded, or two tenants are given.
    """
    raw_body = _raw_body(event)
    _check_tenant_header(event)
    return Request(
        method=event["httpMethod"],
        resource=event["resource"],
        caller=identify(event.get("requestContext") or {}),
        path=event.get("pathParameters") or {},
        query=event.get("queryStringParameters") or {},
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


def _check_tenant_header(event: JsonMapping) -> None:
    """Refuse two different tenants, in one spelling of the header's name or in several."""
    single, multiple = event.get("headers") or {}, event.get("multiValueHeaders") or {}
    tenants = {value for name, value in single.items() if name.lower() == _TENANT_HEADER}
    for name, values in multiple.items():
        if name.lower() == _TENANT_HEADER:
            tenants |= set(values)
    if len(tenants) > 1:
        message = "X-StellaOps-Tenant is given twice with different values; send one"
        raise InvalidRequestError("invalid_request", message)
