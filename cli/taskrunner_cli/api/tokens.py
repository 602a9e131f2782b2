"""Fetches bearer tokens by the client credentials grant (RFC 6749, section 4.4), and caches them.

Authlib 1.9 would do the same, but its client for httpx takes 205 ms to import, cryptography
included, and warns that its support for httpx is deprecated. Its client without HTTP takes 22 ms,
ignores the clock port, and leaves every check of the answer to the caller.
"""

import math
import re
import threading
from dataclasses import dataclass, field
from typing import Final

import httpx

from taskrunner_cli.api.http_client import exchange
from taskrunner_cli.api.profiles import Profile
from taskrunner_cli.api.refusals import BUSY_STATUSES, read_object, retry_after_s
from taskrunner_cli.errors import RefusedError, UnreachableError, UsageError
from taskrunner_cli.json_types import JsonObject, JsonValue
from taskrunner_cli.ports.clock import Clock

RENEWAL_S: Final = 30.0  # a token is renewed this long before it expires, so none expires in use
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")  # RFC 6749, appendix A.12, without blanks


@dataclass(frozen=True, slots=True)
class Token:
    """A token that an issuer gave, and its lifetime; 0 means one use.

    *refresh_value* renews it; it is empty if the issuer gave none.
    """

    value: str = field(repr=False)
    lifetime_s: float
    refresh_value: str = field(default="", repr=False)


def token_of(answer: JsonObject) -> Token | None:
    """Return the token in a token service's answer; None if it has none that can be sent."""
    value = answer.get("access_token")
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        return None
    refresh_value = answer.get("refresh_token")
    return Token(
        value,
        _lifetime_s(answer.get("expires_in")),
        refresh_value if isinstance(refresh_value, str) else "",
    )


def ask_for_token(
    http: httpx.Client, request: httpx.Request, clock: Clock, auth: httpx.Auth | None = None
) -> tuple[httpx.Response, Token | None]:
    """Return the answer of a token service, with its token if it has one that can be sent.

    Raises:
        UnreachableError: the token service did not answer, or is busy.

    """
    response = exchange(http, request, auth=auth)
    if response.status_code in BUSY_STATUSES:
        raise UnreachableError(
            f"the token service is busy (HTTP {response.status_code})",
            cure="try again later",
            code="busy",
            retry_after_s=retry_after_s(response, clock.now()),
            may_have_begun=False,
        )
    return response, token_of(read_object(response)) if response.is_success else None


def new_token_request(http: httpx.Client, url: str, form: dict[str, str]) -> httpx.Request:
    """Return a request to a token service.

    Raises:
        UsageError: *url* is not an address.

    """
    try:
        return http.build_request("POST", url, data=form)
    except httpx.InvalidURL as error:
        raise UsageError(f"the token service's address is not valid: {error}") from error


class TokenSource:
    """The bearer tokens of one client with credentials; several threads may share them."""

    def __init__(self, profile: Profile, http: httpx.Client, clock: Clock) -> None:
        self._profile = profile
        self._http = http
        self._clock = clock
        self._token = ""
        self._renew_at_s = 0.0
        self._lock = threading.Lock()

    def token(self) -> str:
        """Return a valid token, from the cache or the service.

        Raises:
            RefusedError: the token service issued none.
            UnreachableError: the token service did not answer, or is busy.

        """
        with self._lock:
            if not self._token or self._clock.monotonic() >= self._renew_at_s:
                self._fetch()
            return self._token

    def discard(self) -> None:
        """Drop the cached token, because the API rejected it."""
        self._token = ""

    def _fetch(self) -> None:
        response, token = ask_for_token(self._http, self._request(), self._clock, self._auth())
        if token is None:
            raise self._no_token(response.status_code, read_object(response).get("error"))
        self._token = token.value
        self._renew_at_s = self._clock.monotonic() + max(token.lifetime_s - RENEWAL_S, 0.0)

    def _request(self) -> httpx.Request:
        form = {"grant_type": "client_credentials"}
        if self._profile.scope:
            form["scope"] = self._profile.scope
        return new_token_request(self._http, self._profile.token_url, form)

    def _auth(self) -> httpx.BasicAuth:
        try:
            return httpx.BasicAuth(self._profile.client_id, self._profile.client_secret)
        except UnicodeEncodeError:
            # Without the cause, which holds the secret.
            raise UsageError("the client's id or secret is not Unicode text") from None

    def _no_token(self, status: int, reason: JsonValue) -> RefusedError:
        said = reason if isinstance(reason, str) else "no reason given"
        return RefusedError(
            f"the token service issued no token for client {self._profile.caller!r}"
            f" (HTTP {status}, {said})",
            status=status,
            code="no_token",
            cure="check the client's id, secret and scope; `taskrunner local up` renews them",
        )


def _lifetime_s(expires_in: JsonValue) -> float:
    """Return a token's lifetime; 0, which means one use, if the answer does not say it."""
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float | str):
        return 0.0
    try:
        lifetime_s = float(expires_in)
    except (ValueError, OverflowError):
        return 0.0
    return lifetime_s if math.isfinite(lifetime_s) else 0.0
