"""The folder of a job: fresh, for its user only, and removed at the end.

<work folder>/job-.../          mode 0700
    work/                       the working folder and HOME
        .taskrunner/script      the script
        .taskrunner/outputs     $TASKRUNNER_OUTPUTS
        artifacts/<fileName>    artifacts of the run
        output/                 files that become artifacts
    output.log                  the whole output
    env                         the variables of a container
"""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Final

import httpx

from taskrunner_cli.api.download import download
from taskrunner_cli.api.worker_documents import InputArtifact
from taskrunner_cli.errors import CommandError, UsageError
from taskrunner_cli.worker.job import Job, JobError

OUTPUTS: Final = ".taskrunner/outputs"
"""The file of TASKRUNNER_OUTPUTS below the working folder."""
_OWN: Final = ".taskrunner"
_PRIVATE_FILE: Final = 0o600
_DOWNLOAD_TRIES: Final = 3
_NEW: Final = "new-"  # it is not locked yet
_OF_A_JOB: Final = "job-"
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class JobFolder:
    """The folder of one job below *root*."""

    def __init__(self, root: Path) -> None:
        self.root: Final = root
        self.work: Final = root / "work"
        self.script: Final = self.work / _OWN / "script"
        self.outputs: Final = self.work / OUTPUTS
        self.output_files: Final = self.work / "output"
        self.whole_output: Final = root / "output.log"
        self.variables: Final = root / "env"

    def fill(self, job: Job) -> None:
        """Write the script and the files of *job*; its artifacts are downloaded apart.

        Raises:
            JobError: a file has a path that leads out of the folder, or that cannot be written.

        """
        for folder in (self.work, self.work / _OWN, self.output_files):
            folder.mkdir(mode=0o700)
        write_new(self.outputs, "")
        if job.script:
            write_new(self.script, job.script)
        for name, text in job.files.items():
            path = self.work / _inside(name)
            try:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                write_new(path, text)
            except (OSError, UnicodeEncodeError) as error:
                raise JobError(f"the file {name!r} of 'with.files' cannot be written") from error

    def fetch(self, artifact: InputArtifact, check: Callable[[], None]) -> None:
        """Download an artifact, and compare it with its digest.

        *check* is called before each part; it raises JobError to end that.

        Raises:
            JobError: it cannot be downloaded, or is not what the run captured.

        """
        path = self.work / "artifacts" / artifact["fileName"]
        if path.exists():
            raise JobError(f"'with.files' has a file in the place of artifact {artifact['name']!r}")
        path.parent.mkdir(mode=0o700, exist_ok=True)
        for is_last in (False,) * (_DOWNLOAD_TRIES - 1) + (True,):
            check()
            try:
                _download(artifact, path, check)
            except CommandError as error:
                if is_last or isinstance(error, UsageError):
                    message = f"the artifact {artifact['name']!r} cannot be downloaded"
                    raise JobError(f"{message}: {error.message}") from error
            else:
                return


@contextmanager
def job_folder(work_folder: Path) -> Iterator[JobFolder]:
    """Yield a new folder of a job below *work_folder*, and remove it at the end.

    It is locked until then, which says that its worker is alive.
    """
    new = Path(tempfile.mkdtemp(prefix=_NEW, dir=work_folder))
    root = new.with_name(_OF_A_JOB + new.name.removeprefix(_NEW))
    handle = os.open(new, _FOLDER)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        new.rename(root)
        yield JobFolder(root)
    finally:
        remove(root)
        os.close(handle)


def remove_left_folders(work_folder: Path) -> list[str]:
    """Remove the folders of jobs whose workers were killed; return their names."""
    removed: list[str] = []
    for root in work_folder.glob(f"{_OF_A_JOB}*"):
        with suppress(OSError):  # it is locked, or was removed meanwhile
            handle = os.open(root, _FOLDER)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove(root)
                removed.append(root.name)
            finally:
                os.close(handle)
    return removed


def make_work_folder(path: Path) -> Path:
    """Return *path* as an absolute path of a folder that only its user can read; it may be new.

    Raises:
        UsageError: it cannot be made, or other users can write to it.

    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = path.stat()
    except OSError as error:
        raise UsageError(f"cannot make the work folder {path}: {error.strerror}") from error
    if state.st_uid != os.getuid() or state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UsageError(
            f"other users can write to the work folder {path}",
            cure="choose another one with --work-folder, or change its owner and its mode",
        )
    return path.resolve()


def remove(root: Path) -> None:
    """Remove a folder and everything in it, also where a job took away its own rights."""
    shutil.rmtree(root, ignore_errors=True)
    if root.exists():
        for folder, _, _ in os.walk(root):
            with suppress(OSError):
                os.chmod(folder, 0o700, follow_symlinks=False)  # noqa: PTH101 -- as os.walk
        shutil.rmtree(root, ignore_errors=True)


def write_new(path: Path, text: str) -> None:
    """Write *text* as a file that does not exist, and that only its user can read."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, _PRIVATE_FILE), "w", encoding="utf-8", newline="") as file:
        file.write(text)


def _inside(name: str) -> PurePosixPath:
    """Return the path *name*, which stays below the working folder."""
    parts = name.split("/")
    if not name or "\0" in name or parts[0] == _OWN or {"", ".", ".."} & set(parts):
        raise JobError(f"the file {name!r} of 'with.files' has a path that no file may have")
    return PurePosixPath(*parts)


def _download(artifact: InputArtifact, path: Path, check: Callable[[], None]) -> None:
    expected_bytes, received_bytes = artifact["sizeBytes"], 0

    def advance(size_bytes: int) -> None:
        nonlocal received_bytes
        check()
        received_bytes += size_bytes
        if received_bytes > expected_bytes:
            raise CommandError(f"it has more than {expected_bytes} bytes")

    try:
        saved = download(httpx.URL(artifact["url"]), path, advance)
    except httpx.InvalidURL:
        raise CommandError("its address is not one") from None
    if saved.size_bytes != expected_bytes or saved.sha256 != artifact["sha256"].lower():
        path.unlink()
        raise CommandError(f"it is not what the run captured: its SHA-256 is {saved.sha256}")
