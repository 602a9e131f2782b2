"""The token of a person who signed in, renewed before it expires (RFC 6749, section 6)."""

from datetime import timedelta
from typing import Final

import httpx

from taskrunner_cli.api.profiles import SignedIn, not_signed_in
from taskrunner_cli.api.saved_tokens import SavedToken
from taskrunner_cli.api.tokens import RENEWAL_S, ask_for_token, new_token_request
from taskrunner_cli.ports.clock import Clock

_RENEWAL: Final = timedelta(seconds=RENEWAL_S)


class PersonTokens:
    """The bearer tokens of a person.

    A renewed token is kept for the next command. The refresh token stays the same unless the issuer
    sends another with it.
    """

    def __init__(self, person: SignedIn, http: httpx.Client, clock: Clock) -> None:
        self._person = person
        self._http = http
        self._clock = clock
        self._token = person.token
        self._is_rejected = False

    def token(self) -> str:
        """Return a valid token.

        Raises:
            RefusedError: the sign-in has expired.
            UnreachableError: the token service did not answer, or is busy.

        """
        margin = _RENEWAL if self._token.refresh_value else timedelta()
        if self._is_rejected or not self._is_usable(self._token, margin):
            self._token = self._other_command_s() or self._renewed()
            self._is_rejected = False
        return self._token.value

    def discard(self) -> None:
        """Renew the token at the next call, because the API rejected it, if it can be renewed."""
        self._is_rejected = bool(self._token.refresh_value)

    def _renewed(self) -> SavedToken:
        if not self._token.refresh_value:
            raise not_signed_in(self._person.name, has_expired=True)
        form = {
            "grant_type": "refresh_token",
            "client_id": self._person.client_id,
            "refresh_token": self._token.refresh_value,
        }
        request = new_token_request(self._http, self._person.token_url, form)
        asked_at = self._clock.now()
        _, token = ask_for_token(self._http, request, self._clock)
        if token is None:
            # The refresh token may have served another command a moment ago, and only once.
            if kept := self._other_command_s():
                return kept
            raise not_signed_in(self._person.name, has_expired=True)
        renewed = SavedToken(
            api_url=self._token.api_url,
            value=token.value,
            expires_at=asked_at + timedelta(seconds=token.lifetime_s),
            refresh_value=token.refresh_value or self._token.refresh_value,
        )
        self._person.tokens.save(self._person.name, renewed)
        return renewed

    def _other_command_s(self) -> SavedToken | None:
        """Return the token that another command has kept since; None if there is no such token."""
        kept = self._person.tokens.load(self._person.name)
        is_other = kept is not None and kept.value != self._token.value
        return kept if kept and is_other and self._is_usable(kept, timedelta()) else None

    def _is_usable(self, token: SavedToken, margin: timedelta) -> bool:
        return token.is_usable(self._person.api_url, self._clock.now() + margin)
