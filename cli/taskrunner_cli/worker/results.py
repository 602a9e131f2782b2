"""Reads a job's outputs and the files that it wrote."""

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from mimetypes import MimeTypes
from pathlib import Path
from typing import BinaryIO, Final

from taskrunner_cli.api.worker_documents import OutputFile
from taskrunner_cli.json_text import JsonError, parse_json
from taskrunner_cli.json_types import JsonObject
from taskrunner_cli.redaction import Redactor
from taskrunner_cli.worker.job import JobError
from taskrunner_cli.worker.settings import MAX_OUTPUT_FILES, MAX_OUTPUTS_BYTES

_CHUNK_BYTES: Final = 1 << 20
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ANY_TYPE: Final = "application/octet-stream"
_MEDIA_TYPES: Final = MimeTypes()  # those of Python, without those of the machine


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that a job wrote, by its path below a folder that the worker made."""

    folder: Path
    name: str


def read_outputs(file: FoundFile, redactor: Redactor) -> JsonObject:
    """Return the JSON object in the file of TASKRUNNER_OUTPUTS; empty if there is none.

    Raises:
        JobError: the file holds something else.

    """
    content = _beginning(file)
    if len(content) > MAX_OUTPUTS_BYTES:
        raise JobError(f"the file in TASKRUNNER_OUTPUTS has more than {MAX_OUTPUTS_BYTES} bytes")
    if not content.strip():
        return {}
    try:
        outputs = parse_json(content, exact=True)
        json.dumps(outputs, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise JobError("the file in TASKRUNNER_OUTPUTS has text that is not Unicode") from error
    except JsonError as error:
        # The parser's message may have a part of the content, which nobody could redact.
        detail = "" if redactor.find([content]) else f": {error}"
        raise JobError(f"the file in TASKRUNNER_OUTPUTS is not JSON{detail}") from error
    if not isinstance(outputs, dict):
        raise JobError("the file in TASKRUNNER_OUTPUTS is JSON, but not an object")
    return outputs


def find_files(folder: Path) -> tuple[list[FoundFile], list[str]]:
    """Return the regular files below *folder*, and the paths of everything else but folders.

    Symbolic links are not followed.

    Raises:
        JobError: there are too many.

    """
    files: list[FoundFile] = []
    others: list[str] = []
    if folder.is_symlink():
        return files, [""]
    for parent, folders, names in os.walk(folder, followlinks=False):
        for name in sorted([*names, *folders]):
            path = Path(parent, name)
            relative = path.relative_to(folder).as_posix()
            with suppress(OSError):
                mode = path.lstat().st_mode
                if stat.S_ISREG(mode):
                    files.append(FoundFile(folder, relative))
                elif not stat.S_ISDIR(mode):
                    others.append(relative)
        if len(files) + len(others) > MAX_OUTPUT_FILES:
            raise JobError(f"there are more than {MAX_OUTPUT_FILES} files in the folder 'output'")
    return files, others


@contextmanager
def opened(file: FoundFile) -> Iterator[BinaryIO]:
    """Open a file without following a link, neither at its end nor on the way to it.

    Raises:
        JobError: it cannot be read, or is not a regular file any more.

    """
    try:
        descriptor = _open_below(file)
    except (OSError, ValueError) as error:
        raise JobError(f"the file 'output/{file.name}' cannot be read") from error
    with os.fdopen(descriptor, "rb") as opened_file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise JobError(f"the file 'output/{file.name}' is not a regular file")
        yield opened_file


def describe(file: FoundFile, redactor: Redactor) -> OutputFile:
    """Return a file's size and digest, after a search for secrets in it.

    Raises:
        JobError: it contains a secret, or cannot be read.

    """
    if not file.name.isprintable() or redactor.find([os.fsencode(file.name)]):
        raise JobError(
            "a file in the folder 'output' has a name with a secret or a control character"
        )
    digest, size_bytes = hashlib.sha256(), 0

    def chunks(source: BinaryIO) -> Iterator[bytes]:
        nonlocal size_bytes
        while chunk := source.read(_CHUNK_BYTES):
            digest.update(chunk)
            size_bytes += len(chunk)
            yield chunk

    with opened(file) as source:
        content = chunks(source)
        secret = redactor.find(content)
        if secret is not None:
            raise JobError(f"the file 'output/{file.name}' contains the secret '{secret}'")
        for _ in content:  # without secrets nothing was read
            pass
    return {
        "path": file.name,
        "sizeBytes": size_bytes,
        "sha256": digest.hexdigest(),
        "mediaType": _MEDIA_TYPES.guess_type(file.name)[0] or _ANY_TYPE,
    }


def _open_below(file: FoundFile) -> int:
    *folders, name = file.name.split("/")
    current = os.open(file.folder, _READ | os.O_DIRECTORY)
    for folder in folders:
        try:
            below = os.open(folder, _READ | os.O_DIRECTORY, dir_fd=current)
        finally:
            os.close(current)
        current = below
    try:
        return os.open(name, _READ, dir_fd=current)
    finally:
        os.close(current)


def _beginning(file: FoundFile) -> bytes:
    """Return up to a byte more than outputs may have; nothing if there is no file."""
    try:
        descriptor = _open_below(file)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise JobError("the file in TASKRUNNER_OUTPUTS cannot be read") from error
    with os.fdopen(descriptor, "rb") as opened_file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise JobError("the file in TASKRUNNER_OUTPUTS is not a regular file")
        return opened_file.read(MAX_OUTPUTS_BYTES + 1)
