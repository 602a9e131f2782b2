"""The token issuer's public keys, fetched from the address that the deployment names, and cached.

    age of the keys     a token that names one of them      a token that names another key
    up to 10 minutes    uses it                             fetches, at most once a minute
    up to an hour       fetches, at most once a minute;     fetches, at most once a minute
                        uses it if that fails
    more                fetches, at most every 5 seconds;   the same
                        TryAgainError if that fails

So a key that the issuer withdraws is accepted for ten more minutes, and for an hour if the issuer
is unreachable. Made-up key ids cause one fetch a minute, during an outage too. One thread fetches
at a time; the others wait and use its result.

PyJWT's PyJWKClient cannot keep these rules. It pauses after successful fetches only, so during an
outage each token would cause a fetch. It does not use expired keys during an outage, reads a
response of any size, takes an emptied key set for an error, and accepts a key that is published
with its private half.
"""

from __future__ import annotations

import http.client
import json
import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from taskrunner.errors import TryAgainError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

FRESH_S: Final = 600
USABLE_S: Final = 3600
REFETCH_S: Final = 60
_FIRST_RETRY_S: Final = 5
_TIMEOUT_S: Final = 5
_MAX_RESPONSE_BYTES: Final = 1024 * 1024
_MIN_RSA_BITS: Final = 2048
_KEY_TYPES: Final = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "ES384": "EC", "EdDSA": "OKP"}
# A deployment chooses from these: signatures by a private key that only the issuer has.
ALGORITHMS: Final = tuple(_KEY_TYPES)


class Key(NamedTuple):
    """A public key, its type (RFC 7518, section 6.1), and the algorithm it is published for."""

    public: Any
    type: str
    algorithm: str | None

    def is_for(self, algorithm: str) -> bool:
        """Return whether it may verify signatures by *algorithm*, which is one of ALGORITHMS."""
        return self.type == _KEY_TYPES[algorithm] and self.algorithm in (None, algorithm)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object, **__: object) -> None:
        """Follow no redirect: the keys come from the deployment's address or not at all."""


class IssuerKeys:
    """The keys of one issuer by their ids.

    *now* returns the wall clock's seconds. A monotonic clock may stand still while Lambda freezes
    the environment, and a withdrawn key would be accepted for hours.
    """

    def __init__(self, url: str, algorithms: tuple[str, ...], now: Callable[[], float]) -> None:
        """Fetch nothing yet: the first token causes the first fetch."""
        self._url = url
        self._algorithms = algorithms
        self._now = now
        self._lock = threading.Lock()
        self._keys: Mapping[str, Key] | None = None
        self._fetched_at = 0.0
        self._tried_at: float | None = None

    def find(self, key_id: str) -> Key | None:
        """Return the key with that id, or None if the issuer has no such key for tokens.

        Raises:
            TryAgainError: the keys could not be fetched, so nobody knows.
        """
        with self._lock:
            now = self._now()
            keys = self._usable_keys(now)
            is_due = keys is None or key_id not in keys or self._age_s(now) > FRESH_S
            pause_s = _FIRST_RETRY_S if keys is None else REFETCH_S
            if is_due and (self._tried_at is None or abs(now - self._tried_at) >= pause_s):
                self._fetch(now)
                keys = self._usable_keys(now)
            if keys is None:
                raise TryAgainError("the issuer's keys could not be fetched")
            return keys.get(key_id)

    def _usable_keys(self, now: float) -> Mapping[str, Key] | None:
        return self._keys if self._age_s(now) <= USABLE_S else None

    def _age_s(self, now: float) -> float:
        """Return the age of the keys. A clock that was set back does not make them younger."""
        return abs(now - self._fetched_at)

    def _fetch(self, now: float) -> None:
        """Replace the keys. A fetch that fails leaves them as they are."""
        self._tried_at = now
        # Without proxies from the environment (HTTPS_PROXY), which the deployment does not name.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)
        try:
            with opener.open(self._url, timeout=_TIMEOUT_S) as response:
                published = json.loads(response.read(_MAX_RESPONSE_BYTES))["keys"]
        except urllib.error.HTTPError as error:
            error.close()
        except (OSError, http.client.HTTPException, ValueError, RecursionError):
            pass
        except (KeyError, TypeError):
            pass  # JSON, but not a key set
        else:
            if isinstance(published, list):
                # The first of several keys with one id counts.
                self._keys = dict(reversed([*self._token_keys(published)]))
                self._fetched_at = now

    def _token_keys(self, published: list[Any]) -> Iterator[tuple[str, Key]]:
        """Yield the ids and keys of those that may sign tokens."""
        for jwk in published:
            key_id = jwk.get("kid") if isinstance(jwk, dict) else None
            if isinstance(key_id, str) and key_id:
                key = self._token_key(jwk)
                if key is not None:
                    yield key_id, key

    def _token_key(self, jwk: dict[str, Any]) -> Key | None:
        """Return the key if it is public, for signatures by our algorithms, and strong."""
        operations = jwk.get("key_ops", ["verify"])
        if (
            jwk.get("kty") not in _KEY_TYPES.values()
            or jwk.get("use", "sig") != "sig"
            or not isinstance(operations, list)
            or "verify" not in operations
            or "d" in jwk  # the private half is published, so anybody can sign with it
            or jwk.get("alg", self._algorithms[0]) not in self._algorithms
        ):
            return None
        try:
            public = jwt.PyJWK(jwk).key
        except jwt.PyJWTError:
            return None
        is_weak = isinstance(public, RSAPublicKey) and public.key_size < _MIN_RSA_BITS
        return None if is_weak else Key(public, jwk["kty"], jwk.get("alg"))
