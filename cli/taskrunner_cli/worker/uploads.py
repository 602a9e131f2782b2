"""Uploads the files of a job, each after a search for secrets in it."""

from collections.abc import Iterator
from typing import BinaryIO, Final, Protocol

from taskrunner_cli.api.upload import upload
from taskrunner_cli.api.worker_client import WorkerClient
from taskrunner_cli.api.worker_documents import Lease, OutputFile
from taskrunner_cli.errors import CommandError, RefusedError
from taskrunner_cli.redaction import Redactor
from taskrunner_cli.worker.job import JobError
from taskrunner_cli.worker.job_folder import JobFolder
from taskrunner_cli.worker.results import FoundFile, describe, find_files, opened

WHOLE_OUTPUT: Final = "output.log"
_PART_BYTES: Final = 1 << 18
_TRIES: Final = 5
_FIRST_DELAY_S: Final = 0.5
_FINAL_STATUSES: Final = frozenset({400, 404, 409, 413, 422})


class Course(Protocol):
    """The course of a job, which may have to stop while its files are sent."""

    def check(self) -> None:
        """Raise JobError if the job must stop."""
        ...

    def pause(self, seconds: float) -> None:
        """Wait before another try; raise JobError if the job must stop."""
        ...


class Uploads:
    """The files of one job that have been uploaded.

    Args:
        client: the API.
        lease: the job's lease.
        redactor: finds the job's secrets.
        course: says when to give up.

    """

    def __init__(
        self,
        client: WorkerClient,
        lease: Lease,
        redactor: Redactor,
        course: Course,
    ) -> None:
        self._client = client
        self._lease = lease
        self.redactor = redactor
        self._course = course
        self.files: list[OutputFile] = []

    def send_files(self, folder: JobFolder) -> list[str]:
        """Upload the files below `output`, and return what else is there.

        Raises:
            JobError: a file contains a secret, or cannot be uploaded.

        """
        files, others = find_files(folder.output_files)
        for file in files:
            self._send(file, file.name)
        shown = (path if path.isprintable() else ascii(path) for path in others)
        return [self.redactor.text(path) for path in shown]

    def send_output(self, folder: JobFolder) -> None:
        """Upload the whole output as `output.log`, or by another name if the job has such a file.

        Raises:
            JobError: it cannot be uploaded.

        """
        taken = {file["path"] for file in self.files}
        names = (WHOLE_OUTPUT, *(f"output-{number}.log" for number in range(1, len(taken) + 2)))
        name = next(name for name in names if name not in taken)
        self._send(FoundFile(folder.root, folder.whole_output.name), name)

    def _send(self, file: FoundFile, path: str) -> None:
        described: OutputFile = {**describe(file, self.redactor), "path": path}
        for attempt in range(_TRIES):
            try:
                self._send_once(file, described)
            except CommandError as error:
                is_final = isinstance(error, RefusedError) and error.status in _FINAL_STATUSES
                if is_final or attempt == _TRIES - 1:
                    message = f"the file 'output/{path}' cannot be uploaded: {error.message}"
                    raise JobError(message) from error
                self._course.pause(_FIRST_DELAY_S * 2.0**attempt)
            else:
                self.files.append(described)
                return

    def _send_once(self, file: FoundFile, described: OutputFile) -> None:
        address = self._client.upload_address(self._lease, described)
        with opened(file) as source:
            upload(address, self._parts(source), described["sizeBytes"])

    def _parts(self, source: BinaryIO) -> Iterator[bytes]:
        while part := source.read(_PART_BYTES):
            self._course.check()
            yield part
