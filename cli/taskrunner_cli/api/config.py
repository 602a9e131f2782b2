"""The config file: named profiles of deployments to which people sign in.

It is `taskrunner/config.toml` in the folder of configurations (XDG Base Directory Specification):

    default_profile = "prod"

    [profiles.prod]
    api_url = "https://abc123.execute-api.eu-central-1.amazonaws.com/live"
    authorize_url = "https://..."
    token_url = "https://..."
    client_id = "..."
    scope = "taskrunner/viewer taskrunner/operator"
    tenant = "tenant-prod"

Nothing in it is secret.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, NotRequired, TypedDict, cast

from taskrunner_cli.api.files import write_private
from taskrunner_cli.api.shapes import MisfitError, fit
from taskrunner_cli.errors import UsageError

if TYPE_CHECKING:
    from taskrunner_cli.json_types import JsonValue

_FILE: Final = Path("taskrunner") / "config.toml"
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DELETE: Final = chr(127)  # the only character that JSON allows in a text and TOML does not


class ProfileEntry(TypedDict):
    """A profile: the API's address, and how people sign in to it."""

    api_url: str
    authorize_url: str
    token_url: str
    client_id: str
    scope: NotRequired[str]
    tenant: NotRequired[str]


class _Document(TypedDict):
    default_profile: NotRequired[str]
    profiles: NotRequired[dict[str, ProfileEntry]]


@dataclass(frozen=True, slots=True)
class Config:
    """The profiles by name, and the name of the one that is used if none is chosen."""

    profiles: Mapping[str, ProfileEntry] = field(default_factory=dict)
    default: str = ""

    def entry(self, name: str) -> ProfileEntry:
        """Return the profile of that name.

        Raises:
            UsageError: there is none.

        """
        if name not in self.profiles:
            known = ", ".join(self.profiles) or "none yet"
            raise UsageError(
                f"there is no profile {name!r}; the config file has: {known}",
                cure=f"taskrunner login --profile {name} --api-url URL",
            )
        return self.profiles[name]

    def with_profile(self, name: str, entry: ProfileEntry) -> "Config":
        """Return the config with another profile; the first one becomes the default."""
        return replace(self, profiles={**self.profiles, name: entry}, default=self.default or name)


def config_file(environ: Mapping[str, str]) -> Path:
    """Return the path of the config file."""
    return config_home(environ) / _FILE


def config_home(environ: Mapping[str, str]) -> Path:
    """Return the folder of configurations."""
    if folder := environ.get("XDG_CONFIG_HOME"):
        return Path(folder)
    return Path(environ.get("HOME") or Path.home()) / ".config"


def read_config(environ: Mapping[str, str]) -> Config:
    """Return the config; an empty one if there is no file.

    Raises:
        UsageError: the file cannot be read.

    """
    import tomllib  # noqa: PLC0415 -- most commands use no profile

    file = config_file(environ)
    try:
        document = cast("JsonValue", tomllib.loads(file.read_text(encoding="utf-8")))
        view = fit(document, _Document).view
    except FileNotFoundError:
        return Config()
    except (OSError, ValueError, MisfitError) as error:
        raise UsageError(f"{file} cannot be read as a config file: {error}") from error
    return Config(view.get("profiles", {}), view.get("default_profile", ""))


def write_config(config: Config, environ: Mapping[str, str]) -> Path:
    """Write the config file, and return its path; comments in it are lost.

    Raises:
        UsageError: it cannot be written, or the name of a profile cannot be used.

    """
    lines = [f"default_profile = {_quoted(config.default)}"] if config.default else []
    for name, entry in config.profiles.items():
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} cannot be the name of a profile", cure="use letters, digits, _ and -"
            )
        lines += ["", f"[profiles.{name}]"]
        lines += [f"{key} = {_quoted(str(value))}" for key, value in entry.items() if value]
    file = config_file(environ)
    write_private(file, "\n".join([*lines, ""]))
    return file


def _quoted(text: str) -> str:
    """Return a basic string of TOML, whose escapes are those of JSON."""
    return json.dumps(text).replace(_DELETE, "\\u007f")
