"""Signs a person in: the authorization code flow with PKCE (RFC 6749 section 4.1, RFC 7636).

The issuer sends the browser back to an address of this machine (RFC 8252, section 7.3). Cognito
compares addresses exactly and allows http for `localhost` only, so the ports are fixed.
Authlib was measured and rejected in `tokens`; what this module needs of it is one address and one
form.
"""

import base64
import hashlib
import html
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from taskrunner_cli.api.config import ProfileEntry
from taskrunner_cli.api.http_client import exchange, new_http_client
from taskrunner_cli.api.refusals import read_object
from taskrunner_cli.api.tokens import Token, token_of
from taskrunner_cli.errors import RefusedError, UsageError
from taskrunner_cli.json_text import JsonError, parse_json
from taskrunner_cli.json_types import JsonObject
from taskrunner_cli.ports.randomness import Randomness

LOOPBACK_PORTS: Final = (8765, 8766, 8767)
"""The ports of the addresses that the issuer may send people back to, in template.yaml."""

CALLBACK_PATH: Final = "/callback"
_CONSOLE: Final = "/console"
_SETTINGS: Final = re.compile(r'<meta name="taskrunner" content="([^"]{1,10000})">')
_DISCOVERED: Final = {
    "authorize_url": "authorizeUrl",
    "token_url": "tokenUrl",
    "client_id": "clientId",
    "scope": "scopes",
}


@dataclass(frozen=True, slots=True)
class SignIn:
    """A sign-in that has begun: what only the one who began it knows, and the way back."""

    entry: ProfileEntry
    redirect_uri: str
    state: str
    verifier: str

    def address(self) -> str:
        """Return the address at which the person signs in."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self.entry["client_id"],
            "redirect_uri": self.redirect_uri,
            "scope": self.entry.get("scope", ""),
            "state": self.state,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        separator = "&" if "?" in self.entry["authorize_url"] else "?"
        given = {name: value for name, value in query.items() if value}
        return f"{self.entry['authorize_url']}{separator}{urlencode(given)}"

    def code_of(self, address: str) -> str:
        """Return the code in *address*, to which the issuer sent the browser back.

        Raises:
            RefusedError: the issuer refused.
            UsageError: the address has no code, or is of another sign-in.

        """
        query = {name: values[-1] for name, values in parse_qs(urlsplit(address).query).items()}
        if query.get("state") != self.state:
            raise UsageError(
                "this address is not of this sign-in", cure="paste the whole address of the page"
            )
        if error := query.get("error"):
            raise RefusedError(
                query.get("error_description") or f"the sign-in was refused: {error}",
                status=httpx.codes.FORBIDDEN,
                code="sign_in_refused",
            )
        if not (code := query.get("code")):
            raise UsageError("this address has no code", cure="paste the whole address of the page")
        return code

    def redeem(self, code: str) -> Token:
        """Exchange *code* for a token.

        Raises:
            RefusedError: the issuer gave none.
            UnreachableError: the issuer did not answer.

        """
        form = {
            "grant_type": "authorization_code",
            "client_id": self.entry["client_id"],
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier,
        }
        with new_http_client() as http:
            response = exchange(http, _request(http, "POST", self.entry["token_url"], form))
        answer = read_object(response)
        token = token_of(answer)
        if not response.is_success or token is None:
            error = answer.get("error")
            reason = error if isinstance(error, str) else "no reason given"
            raise RefusedError(
                f"the sign-in gave no token (HTTP {response.status_code}, {reason})",
                status=response.status_code,
                code="no_token",
                cure="sign in again",
            )
        return token


def begin_sign_in(entry: ProfileEntry, port: int, randomness: Randomness) -> SignIn:
    """Return a new sign-in that comes back to *port* of this machine."""
    return SignIn(
        entry=entry,
        redirect_uri=f"http://localhost:{port}{CALLBACK_PATH}",
        state=randomness.key(),
        verifier=randomness.key() + randomness.key(),  # RFC 7636 wants 43 characters at least
    )


def discover(api_url: str) -> ProfileEntry:
    """Return how people sign in to the API at *api_url*, from the page of its console.

    Raises:
        UsageError: it has no console, or nobody can sign in there.
        UnreachableError: it does not answer.

    """
    with new_http_client() as http:
        response = exchange(http, _request(http, "GET", api_url + _CONSOLE))
    settings = _settings(response.text) if response.is_success else {}
    found = {name: settings.get(member) for name, member in _DISCOVERED.items()}
    texts = {name: value for name, value in found.items() if isinstance(value, str) and value}
    if not {"authorize_url", "token_url", "client_id"} <= texts.keys():
        raise UsageError(
            f"{api_url} does not say how people sign in",
            cure="give the client and both addresses: taskrunner login --help",
        )
    return {
        "api_url": api_url,
        "authorize_url": texts["authorize_url"],
        "token_url": texts["token_url"],
        "client_id": texts["client_id"],
        "scope": texts.get("scope", ""),
    }


def _settings(page: str) -> JsonObject:
    match = _SETTINGS.search(page)
    try:
        settings = parse_json(html.unescape(match[1])) if match else {}
    except JsonError:
        return {}
    return settings if isinstance(settings, dict) else {}


def _request(
    http: httpx.Client, method: str, url: str, form: dict[str, str] | None = None
) -> httpx.Request:
    try:
        return http.build_request(method, url, data=form)
    except httpx.InvalidURL as error:
        raise UsageError(f"{url} is not an address: {error}") from error
