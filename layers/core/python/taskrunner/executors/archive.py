"""Zip archives whose bytes depend only on their files, on any machine and with any Python.

Entries are sorted by path, dated 1980-01-01 (the earliest date of a zip) and have the mode 0644.
Nothing is compressed: deflate leaves the choice of bytes to the encoder, and zlib, zlib-ng and each
of their versions choose differently, so the same content would get several digests. That costs
space, which MAX_SIZE_BYTES bounds. Files are copied in pieces, because an archive may be as large
as all the memory of its step.
"""

from __future__ import annotations

import re
from io import BytesIO
from shutil import copyfileobj
from typing import TYPE_CHECKING, BinaryIO, Final, TypeAlias
from unicodedata import normalize
from zipfile import ZIP_STORED, ZipFile, ZipInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

Content: TypeAlias = "bytes | Path"  # the content of an entry, or the file that has it

MAX_FILES: Final = 1000
MAX_PATH_BYTES: Final = 240
# A step's outputs list every path, and have at most 64 KiB.
MAX_PATHS_BYTES: Final = 32 * 1024
MAX_SIZE_BYTES: Final = 32 * 1024 * 1024

_UNIX: Final = 3
_EARLIEST: Final = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE_0644: Final = 0o100644
# Patterns that a path must not match; the first match is reported. Lone surrogates are included
# because JSON can spell them and UTF-8 cannot.
_RULES: Final = tuple(
    (re.compile(pattern), message)
    for pattern, message in (
        (r"\A\Z", "is empty; name the file"),
        (r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", "contains a control character"),
        (r"[\\:]", "contains a backslash or a colon; separate the parts of a path with '/'"),
        (r"\A/", "is absolute; write a relative path, such as config/app.json"),
        (r"(\A|/)\.\.?(/|\Z)", "contains '.' or '..'; write the path without them"),
        (
            r"//|/\Z",
            "has an empty part; remove the second of two '/' in a row, or the one at the end",
        ),
        (r"[. ](/|\Z)", "has a part that ends with '.' or a space, which some systems remove"),
    )
)


class ArchiveError(Exception):
    """These files cannot be packed; the message names the file and says what to do."""


def pack(files: Mapping[str, Content], into: BinaryIO) -> tuple[str, ...]:
    """Write an archive of *files*, contents by path, and return its paths, sorted and in form NFC.

    *into* must be seekable, because zipfile writes other bytes to a stream.

    Raises:
        ArchiveError: a path is not usable, or there is too much of something; nothing was written.
    """
    if problems := path_problems(files):
        raise ArchiveError("; ".join(f"{_shown(path)} {text}" for path, text in problems.items()))
    check_size(files)
    contents = {normalize("NFC", path): content for path, content in files.items()}
    paths = tuple(sorted(contents))
    if len(paths) > MAX_FILES or sum(len(path.encode()) for path in paths) > MAX_PATHS_BYTES:
        raise ArchiveError(
            f"{len(paths)} files are too many; pack at most {MAX_FILES} files, whose paths have at "
            f"most {MAX_PATHS_BYTES} bytes together"
        )
    with ZipFile(into, "w", ZIP_STORED) as archive:
        for path in paths:
            content = contents[path]
            source = BytesIO(content) if isinstance(content, bytes) else content.open("rb")
            with source, archive.open(_entry(path, _size(content)), "w") as entry:
                copyfileobj(source, entry)
    return paths


def check_size(files: Mapping[str, Content]) -> None:
    """Check the size of all contents together, without reading them.

    Raises:
        ArchiveError: they are larger than MAX_SIZE_BYTES.
    """
    sizes = {path: _size(content) for path, content in files.items()}
    total = sum(sizes.values())
    if total > MAX_SIZE_BYTES:
        largest = max(sizes, key=sizes.__getitem__)
        raise ArchiveError(
            f"the files have at least {total} bytes together, and at most {MAX_SIZE_BYTES} are "
            f"allowed; the largest is {_shown(largest)} with {sizes[largest]} bytes"
        )


def path_problems(paths: Iterable[str]) -> dict[str, str]:
    """Return the problem of each path that is not usable, in order, to be put after the path.

    A usable path is relative, has '/' between its parts, and gives the same file on every system:
    no two paths may differ only in case or in Unicode form.
    """
    all_paths = list(paths)
    problems = {path: text for path in all_paths if (text := _problem(path)) is not None}
    usable: dict[str, str] = {}
    for path in all_paths:
        if path in problems:
            continue
        first = usable.setdefault(_folded(path), path)
        if first != path:
            problems[path] = (
                f"is the same file as '{first}' on systems that ignore case or Unicode form"
            )
    for path in all_paths:
        if path not in problems and (file := next(_files_above(path, usable), None)) is not None:
            problems[path] = f"needs '{file}' to be a folder, but that is a file"
    return {path: problems[path] for path in all_paths if path in problems}


def _problem(path: str) -> str | None:
    problem = next((message for rule, message in _RULES if rule.search(path)), None)
    if problem is None and len(normalize("NFC", path).encode()) > MAX_PATH_BYTES:
        return f"is longer than {MAX_PATH_BYTES} bytes"
    return problem


def _files_above(path: str, files: Mapping[str, str]) -> Iterator[str]:
    """Yield the files whose path is a folder of *path*; *files* has paths by their folded form."""
    parts = _folded(path).split("/")
    folders = ("/".join(parts[:count]) for count in range(1, len(parts)))
    return (files[folder] for folder in folders if folder in files)


def _folded(path: str) -> str:
    """Return the same text for all paths that some file system takes for one (Unicode D145)."""
    return normalize("NFD", normalize("NFD", path).casefold())


def _size(content: Content) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def _entry(path: str, size_bytes: int) -> ZipInfo:
    entry = ZipInfo(path, _EARLIEST)
    entry.file_size = size_bytes
    entry.create_system = _UNIX  # zipfile would write the system that it runs on
    entry.external_attr = _REGULAR_FILE_0644 << 16
    entry.compress_type = ZIP_STORED
    return entry


def _shown(path: str) -> str:
    """Return *path* quoted, with control characters escaped, because terminals show it.

    It is quoted completely or not at all: the redactor would not find part of a secret.
    """
    size = len(path)
    return repr(path) if size <= MAX_PATH_BYTES else f"a path of {size} characters"
