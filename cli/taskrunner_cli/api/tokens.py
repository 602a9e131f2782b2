"""Fetches bearer tokens by the client credentials grant (RFC 6749, section 4.4), and caches them.

Authlib 1.9 would do the same, but its client for httpx takes 205 ms to import, cryptography
included, and warns that its support for httpx is deprecated. Its client without HTTP takes 22 ms,
ignores the clock port, and leaves every check of the answer to the caller.
"""

from typing import Final

import httpx

from taskrunner_cli.api.http_client import exchange
from taskrunner_cli.api.profiles import Profile
from taskrunner_cli.api.refusals import read_object
from taskrunner_cli.errors import RefusedError
from taskrunner_cli.json_types import JsonValue
from taskrunner_cli.ports.clock import Clock

_RENEWAL_S: Final = 30.0  # a token is renewed this long before it expires, so none expires in use


class TokenSource:
    """The bearer tokens of one client."""

    def __init__(self, profile: Profile, http: httpx.Client, clock: Clock) -> None:
        self._profile = profile
        self._http = http
        self._clock = clock
        self._token = ""
        self._renew_at_s = 0.0

    def token(self) -> str:
        """Return a valid token, from the cache if it holds one.

        Raises:
            RefusedError: the token service issued none.
            UnreachableError: the token service did not answer.

        """
        if not self._token or self._clock.monotonic() >= self._renew_at_s:
            self._fetch()
        return self._token

    def discard(self) -> None:
        """Drop the cached token, because the API rejected it."""
        self._token = ""

    def _fetch(self) -> None:
        profile = self._profile
        form = {"grant_type": "client_credentials"}
        if profile.scope:
            form["scope"] = profile.scope
        request = self._http.build_request("POST", profile.token_url, data=form)
        auth = httpx.BasicAuth(profile.client_id, profile.client_secret)
        response = exchange(self._http, request, auth=auth)
        answer = read_object(response)
        token = answer.get("access_token")
        if not response.is_success or not isinstance(token, str) or not token:
            raise RefusedError(
                f"the token service issued no token for client {profile.caller!r}"
                f" (HTTP {response.status_code}, {answer.get('error', 'no reason given')})",
                status=response.status_code,
                code="no_token",
                cure="check the client's id, secret and scope; `taskrunner local up` renews them",
            )
        self._token = token
        lifetime_s = _lifetime_s(answer.get("expires_in"))
        self._renew_at_s = self._clock.monotonic() + max(lifetime_s - _RENEWAL_S, 0.0)


def _lifetime_s(expires_in: JsonValue) -> float:
    """Return a token's lifetime; 0, which means one use, if the answer does not say it."""
    return float(expires_in) if isinstance(expires_in, int | float | str) else 0.0
