"""The tokens of people who signed in, and what renews them, kept privately and never printed.

They are in the keyring of the desktop if the library `keyring` is installed (the extra `keyring`)
and finds one, and otherwise in a file with the mode 0600. The library is an extra because it brings
21 MB on Linux, cryptography included, and takes 0.1 s to import.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NotRequired, Protocol, TypedDict

from taskrunner_cli.api.config import config_home
from taskrunner_cli.api.files import write_private
from taskrunner_cli.api.shapes import MisfitError, fit
from taskrunner_cli.json_text import JsonError, parse_json

_FILE: Final = Path("taskrunner") / "tokens.json"
_KEYRING_SERVICE: Final = "taskrunner"


class _TokenEntry(TypedDict):
    apiUrl: str
    accessToken: str
    expiresAt: str
    refreshToken: NotRequired[str]


@dataclass(frozen=True, slots=True)
class SavedToken:
    """A token for the API at *api_url*, with the time at which it expires.

    *refresh_value* renews it; it is empty if the issuer gave none.
    """

    api_url: str
    value: str = field(repr=False)
    expires_at: datetime
    refresh_value: str = field(default="", repr=False)

    def is_usable(self, api_url: str, now: datetime) -> bool:
        """Return whether the token is for this API and has not expired."""
        return self.api_url == api_url and now < self.expires_at


class SavedTokens(Protocol):
    """The tokens by the names of profiles."""

    def load(self, profile: str) -> SavedToken | None:
        """Return the token of a profile, if there is one that can be read."""

    def save(self, profile: str, token: SavedToken) -> str:
        """Keep a token, and return in words where it is."""

    def forget(self, profile: str) -> bool:
        """Delete the token of a profile; return whether there was one."""


class TokenFile:
    """The tokens in a file that only its owner can read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, profile: str) -> SavedToken | None:
        """Return the token of a profile, if there is one that can be read."""
        entry = self._read().get(profile)
        return _token(entry) if entry is not None else None

    def save(self, profile: str, token: SavedToken) -> str:
        """Keep a token, and return in words where it is."""
        self._write({**self._read(), profile: _entry(token)})
        return str(self._path)

    def forget(self, profile: str) -> bool:
        """Delete the token of a profile; return whether there was one."""
        entries = self._read()
        if entries.pop(profile, None) is None:
            return False
        self._write(entries)
        return True

    def _read(self) -> dict[str, _TokenEntry]:
        try:
            return fit(parse_json(self._path.read_bytes()), dict[str, _TokenEntry]).view
        except (OSError, JsonError, MisfitError):
            return {}  # what cannot be read is replaced at the next sign-in

    def _write(self, entries: Mapping[str, _TokenEntry]) -> None:
        write_private(self._path, json.dumps(entries))


class _Keyring(Protocol):
    """The functions of the library `keyring` that are used."""

    def get_password(self, service: str, name: str, /) -> str | None: ...
    def set_password(self, service: str, name: str, password: str, /) -> None: ...
    def delete_password(self, service: str, name: str, /) -> None: ...


class KeyringTokens:
    """The tokens in the keyring of the desktop; *fallback* has those that it does not take."""

    def __init__(self, keyring: _Keyring, fallback: SavedTokens) -> None:
        self._keyring = keyring
        self._fallback = fallback

    def load(self, profile: str) -> SavedToken | None:
        """Return the token of a profile, if there is one that can be read."""
        try:
            text = self._keyring.get_password(_KEYRING_SERVICE, profile)
            entry = fit(parse_json(text or ""), _TokenEntry).view
        except Exception:  # noqa: BLE001 -- each desktop's keyring has errors of its own
            return self._fallback.load(profile)
        return _token(entry)

    def save(self, profile: str, token: SavedToken) -> str:
        """Keep a token, and return in words where it is.

        The keyring is asked whether it has it: one that somebody has switched off keeps nothing,
        and says nothing.
        """
        try:
            self._keyring.set_password(_KEYRING_SERVICE, profile, json.dumps(_entry(token)))
            is_kept = self._keyring.get_password(_KEYRING_SERVICE, profile) is not None
        except Exception:  # noqa: BLE001 -- as above; a machine without a desktop has no keyring
            is_kept = False
        if not is_kept:
            return self._fallback.save(profile, token)
        self._fallback.forget(profile)
        return "the keyring"

    def forget(self, profile: str) -> bool:
        """Delete the token of a profile; return whether there was one."""
        had_file = self._fallback.forget(profile)
        try:
            had_entry = self._keyring.get_password(_KEYRING_SERVICE, profile) is not None
            self._keyring.delete_password(_KEYRING_SERVICE, profile)
        except Exception:  # noqa: BLE001 -- as above; a missing entry is an error too
            return had_file
        return had_file or had_entry


def saved_tokens(environ: Mapping[str, str]) -> SavedTokens:
    """Return the tokens that this machine keeps."""
    file = TokenFile(config_home(environ) / _FILE)
    try:
        import keyring  # noqa: PLC0415 -- an extra
    except ImportError:
        return file
    return KeyringTokens(keyring, file)


def _entry(token: SavedToken) -> _TokenEntry:
    entry: _TokenEntry = {
        "apiUrl": token.api_url,
        "accessToken": token.value,
        "expiresAt": token.expires_at.astimezone(UTC).isoformat(),
    }
    if token.refresh_value:
        entry["refreshToken"] = token.refresh_value
    return entry


def _token(entry: _TokenEntry) -> SavedToken | None:
    try:
        expires_at = datetime.fromisoformat(entry["expiresAt"])
    except ValueError:
        return None
    if expires_at.tzinfo is None:
        return None
    refresh_value = entry.get("refreshToken", "")
    return SavedToken(entry["apiUrl"], entry["accessToken"], expires_at, refresh_value)
