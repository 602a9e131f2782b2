"""The paths of the local stack's files, all in the folder `.local/` of the clone."""

import fcntl
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from taskrunner_cli.clone import find_clone
from taskrunner_cli.local.errors import LocalStackError

Progress = Callable[[str], None]
"""Takes a few words before each step of a long command."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """A clone of the repository, with the paths that the local stack reads and writes."""

    root: Path

    @property
    def local(self) -> Path:
        """The folder of all generated files; git ignores it."""
        return self.root / ".local"

    @property
    def stack_file(self) -> Path:
        """The running stack's addresses and clients, for callers."""
        return self.local / "stack.json"

    @property
    def emulator_file(self) -> Path:
        """The emulator's process id, start time and port."""
        return self.local / "emulator.json"

    @property
    def worker_file(self) -> Path:
        """The worker's process id and start time, and the deployment that it was started for."""
        return self.local / "worker.json"

    @property
    def deployed_file(self) -> Path:
        """The digest of the last deployment, and the emulator that holds it."""
        return self.local / "deployed.json"

    @property
    def evidence_key_file(self) -> Path:
        """The public key, in PEM, that verifies evidence made by this stack."""
        return self.local / "evidence-key.pem"

    @property
    def invocation_file(self) -> Path:
        """The environment variables for `sam local invoke` against this stack."""
        return self.local / "invoke.json"

    @property
    def scratch(self) -> Path:
        """The emulator's temporary folder."""
        return self.local / "tmp"

    @property
    def logs(self) -> Path:
        """The folder of the logs of the emulator, the worker and the deployment."""
        return self.local / "logs"

    def tool(self, venv: str, name: str) -> Path:
        """Return the path of program *name* in *venv*, an environment that `make setup` creates.

        Raises:
            LocalStackError: the program does not exist.

        """
        path = self.local / "venvs" / venv / "bin" / name
        if not path.exists():
            raise LocalStackError(
                f"{path.relative_to(self.root)} is not installed", cure="make setup"
            )
        return path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock that lets one process at a time change this stack."""
        self.local.mkdir(parents=True, exist_ok=True)
        with (self.local / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def find() -> Workspace:
    """Return the clone around the current folder, or the one this package is installed from.

    Raises:
        NoCloneError: neither is a clone.

    """
    return Workspace(find_clone())


def python_version() -> str:
    """Return the running interpreter's version as Lambda's runtime names have it, e.g. `3.13`."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"
