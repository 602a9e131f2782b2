"""Where the local stack keeps its things: everything under the project's `.local/`."""

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from taskrunner_cli.local.errors import LocalStackError

_MARKS = ("template.yaml", "layers/core/python", "statemachine")


@dataclass(frozen=True, slots=True)
class Workspace:
    """A project's folder and the places in it that the local stack reads and writes."""

    root: Path

    @property
    def local(self) -> Path:
        """The folder of everything made here; git ignores it."""
        return self.root / ".local"

    @property
    def stack_file(self) -> Path:
        """What callers need to know of the running stack."""
        return self.local / "stack.json"

    @property
    def emulator_file(self) -> Path:
        """Which process the emulator is."""
        return self.local / "emulator.json"

    @property
    def deployed_file(self) -> Path:
        """What was deployed last, and into which process."""
        return self.local / "deployed.json"

    @property
    def evidence_key_file(self) -> Path:
        """The public key, in PEM, that verifies the evidence of runs on this stack."""
        return self.local / "evidence-key.pem"

    @property
    def invocation_file(self) -> Path:
        """The environment of functions that `sam local invoke` runs against this stack."""
        return self.local / "invoke.json"

    @property
    def scratch(self) -> Path:
        """The emulator's own temporary folder."""
        return self.local / "tmp"

    @property
    def logs(self) -> Path:
        """The logs of the emulator, the build and the deployment."""
        return self.local / "logs"

    def tool(self, venv: str, name: str) -> Path:
        """Return the program *name* of one of the virtual environments that `make setup` makes.

        Raises:
            LocalStackError: it is not there.

        """
        path = self.local / "venvs" / venv / "bin" / name
        if not path.exists():
            raise LocalStackError(
                f"{path.relative_to(self.root)} is not installed", cure="make setup"
            )
        return path

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until no other process changes this stack, and keep others waiting meanwhile."""
        self.local.mkdir(exist_ok=True)
        with (self.local / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def find() -> Workspace:
    """Return the project around the current folder, else the one this package is installed from.

    Raises:
        LocalStackError: neither is a TaskRunner project.

    """
    here = Path.cwd()
    for folder in (here, *here.parents, *Path(__file__).resolve().parents):
        if all((folder / mark).exists() for mark in _MARKS):
            return Workspace(folder)
    raise LocalStackError(
        f"{here} is not inside a TaskRunner project: no template.yaml above it",
        cure="change to the folder that was cloned",
    )


def python_version() -> str:
    """Return the running interpreter's version as Lambda's runtimes are named after it, `3.13`."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"
