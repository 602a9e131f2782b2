"""The issuer's public keys: fetched from where the deployment says, and kept for a while.

    age of the last fetch    a known key    an unknown key
    up to 10 minutes         is used        fetches anew, at most once a minute
    up to an hour            fetches anew, at most once a minute; while that fails, it is used
    more                     fetches anew, at most every 5 seconds; while that fails, nobody knows

So a key that the issuer withdraws is used for ten minutes more, and for an hour when the issuer
cannot be reached. However many tokens name keys that do not exist, in an outage too, the issuer is
asked once a minute. One fetch at a time: who comes meanwhile waits for it and sees what it brought.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from taskrunner.errors import TryAgainError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FRESH_S: Final = 600
KNOWN_S: Final = 3600
REFETCH_S: Final = 60
_RETRY_S: Final = 5
_TIMEOUT_S: Final = 5
_MOST_BYTES: Final = 1024 * 1024
_LEAST_RSA_BITS: Final = 2048
_TYPES: Final = ("RSA", "EC", "OKP")
_TYPE_OF: Final = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "ES384": "EC", "EdDSA": "OKP"}
# What a deployment may choose from: signatures by a key that the issuer alone has.
ALGORITHMS: Final = tuple(_TYPE_OF)


class Key(NamedTuple):
    """A public key of a type (RFC 7518, section 6.1), and the algorithm it is declared for."""

    public: Any
    type: str
    algorithm: str | None

    def is_for(self, algorithm: str) -> bool:
        """Whether a signature by *algorithm*, one of ALGORITHMS, may be checked with it."""
        return self.type == _TYPE_OF[algorithm] and self.algorithm in (None, algorithm)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object, **__: object) -> None:
        """Go nowhere: the deployment has named one place."""


class IssuerKeys:
    """The keys of one issuer by their ids; *now* counts seconds and never goes back."""

    def __init__(
        self, url: str, algorithms: tuple[str, ...], now: Callable[[], float] = time.monotonic
    ) -> None:
        """Fetch nothing yet: the first token does."""
        self._url = url
        self._algorithms = algorithms
        self._now = now
        self._lock = threading.Lock()
        self._keys: Mapping[str, Key] | None = None
        self._fetched_at = 0.0
        self._tried_at: float | None = None

    def find(self, key_id: str) -> Key | None:
        """The key of that id, or None when the issuer has none that may sign tokens for us.

        Raises:
            TryAgainError: the keys could not be fetched, so that nobody can tell.
        """
        with self._lock:
            now = self._now()
            known = self._known(now)
            is_due = known is None or key_id not in known or now - self._fetched_at > FRESH_S
            pause_s = _RETRY_S if known is None else REFETCH_S
            if is_due and (self._tried_at is None or now - self._tried_at >= pause_s):
                self._fetch(now)
                known = self._known(now)
            if known is None:
                raise TryAgainError("the issuer's keys could not be fetched")
            return known.get(key_id)

    def _known(self, now: float) -> Mapping[str, Key] | None:
        return self._keys if now - self._fetched_at <= KNOWN_S else None

    def _fetch(self, now: float) -> None:
        """Replace what is known; a fetch that fails leaves it as it is."""
        self._tried_at = now
        opener = urllib.request.build_opener(_NoRedirect)
        try:
            with opener.open(self._url, timeout=_TIMEOUT_S) as answer:
                published = json.loads(answer.read(_MOST_BYTES))["keys"]
        except urllib.error.HTTPError as error:
            error.close()
        except (OSError, http.client.HTTPException, ValueError, RecursionError):
            pass
        except (KeyError, TypeError):
            pass  # JSON, but no key set
        else:
            if isinstance(published, list):
                self._keys = dict(reversed([*self._usable(published)]))
                self._fetched_at = now

    def _usable(self, published: list[Any]) -> list[tuple[str, Key]]:
        """Those that may sign tokens for us; of two with one id the first counts."""
        named = ((one, one.get("kid")) for one in published if isinstance(one, dict))
        found = ((kid, self._key(one)) for one, kid in named if isinstance(kid, str) and kid)
        return [(kid, key) for kid, key in found if key is not None]

    def _key(self, jwk: dict[str, Any]) -> Key | None:
        """The key when it is public, asymmetric, for signatures, of our algorithms, and strong."""
        operations = jwk.get("key_ops", ["verify"])
        if (
            jwk.get("kty") not in _TYPES
            or jwk.get("use", "sig") != "sig"
            or not isinstance(operations, list)
            or "verify" not in operations
            or "d" in jwk  # the private half is out: anybody may sign with it
            or jwk.get("alg", self._algorithms[0]) not in self._algorithms
        ):
            return None
        try:
            public = jwt.PyJWK(jwk).key
        except jwt.PyJWTError:
            return None
        weak = isinstance(public, RSAPublicKey) and public.key_size < _LEAST_RSA_BITS
        return None if weak else Key(public, jwk["kty"], jwk.get("alg"))
