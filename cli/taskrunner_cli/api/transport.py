"""Sends requests to the API: with the caller's token and tenant, repeated where that is safe.

Every refusal and every failure to connect becomes a `CommandError` here. Tokens and presigned
addresses are credentials, so they are never part of a message.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import httpx

from taskrunner_cli.api.http_client import exchange, new_http_client
from taskrunner_cli.api.person_tokens import PersonTokens
from taskrunner_cli.api.profiles import Profile
from taskrunner_cli.api.refusals import refusal
from taskrunner_cli.api.retries import Notify, Patience, Retries
from taskrunner_cli.api.tokens import TokenSource
from taskrunner_cli.errors import UsageError
from taskrunner_cli.json_types import JsonObject
from taskrunner_cli.ports.clock import Clock
from taskrunner_cli.ports.randomness import Randomness

_HEADER_TEXT: Final = re.compile(r"[ -~]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request to the API.

    Args:
        method: the HTTP method.
        path: the path below the API's address.
        body: the JSON body.
        query: the query's parameters, without those that are None.
        headers: the headers beside those that every request has.
        is_repeatable: whether the service can take the request twice, as it can every GET.
        is_tried_once: whether the caller has something better to do than to repeat it.
        timeout_s: how long it may take instead of the client's time; None for that.

    """

    method: str
    path: str
    body: JsonObject | None = None
    query: Mapping[str, str | int | None] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    is_repeatable: bool = False
    is_tried_once: bool = False
    timeout_s: float | None = None


class Transport:
    """The connection of one caller to the API."""

    def __init__(
        self,
        profile: Profile,
        clock: Clock,
        randomness: Randomness,
        notify: Notify,
        patience: Patience,
    ) -> None:
        self._profile = profile
        self._clock = clock
        self._timeout_s = patience.timeout_s
        self._http = new_http_client(patience.timeout_s)
        self._tokens = (
            PersonTokens(profile.person, self._http, clock)
            if profile.person
            else TokenSource(profile, self._http, clock)
        )
        self._patience = patience
        self._new_retries = partial(Retries, clock, randomness, notify)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(self, call: Call) -> httpx.Response:
        """Send a request and return the answer, which may be a redirect.

        A rejected token is renewed once. `retries` says when a request is repeated.

        Raises:
            RefusedError: the service answered with an error.
            RefusedPackError: the same, with the plan errors of a pack.
            UnreachableError: the service did not answer.
            UsageError: the request has text that cannot be sent.

        """
        request = self._build(call)
        patience = replace(
            self._patience, tries_again=self._patience.tries_again and not call.is_tried_once
        )
        retries = self._new_retries(patience, call.is_repeatable or call.method == "GET")
        response = retries.send(partial(self._send_once, request))
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self._tokens.discard()
            response = retries.send(partial(self._send_once, request))
        if response.is_error:
            is_person = self._profile.person is not None
            now = self._clock.now()
            raise refusal(response, self._profile.caller, now, is_person=is_person)
        return response

    def _build(self, call: Call) -> httpx.Request:
        tenant = self._profile.tenant
        headers = {**call.headers, **({"X-StellaOps-Tenant": tenant} if tenant else {})}
        for name, value in headers.items():
            if not _HEADER_TEXT.fullmatch(value):
                raise UsageError(f"{value!r} cannot be sent as {name}", cure="use ASCII characters")
        try:
            return self._http.build_request(
                call.method,
                self._profile.api_url + call.path,
                json=call.body,
                params={name: value for name, value in call.query.items() if value is not None},
                headers=headers,
                timeout=self._timeout_s if call.timeout_s is None else call.timeout_s,
            )
        except httpx.InvalidURL as error:
            raise UsageError(f"the API's address or an id in it is not valid: {error}") from error
        except UnicodeEncodeError as error:
            text = error.object[max(error.start - 20, 0) : error.end]
            raise UsageError(
                f"text that is not Unicode cannot be sent: {text!r}",
                cure="use UTF-8 in the command line and in its files",
            ) from error

    def _send_once(self, request: httpx.Request) -> httpx.Response:
        request.headers["Authorization"] = f"Bearer {self._tokens.token()}"
        return exchange(self._http, request)
