"""Zip archives whose bytes follow from their files alone, on any machine and with any Python.

Files stand sorted by their path, all of them dated 1980-01-01 (the earliest a zip can say) with
mode 0644, and nothing is compressed: deflate leaves the choice of bytes to the encoder, and zlib,
zlib-ng and each of their versions choose differently, so that one content would get several
digests. It costs space; MAX_SIZE_BYTES bounds it. What stands in files goes from file to archive in
pieces: a step has little memory, and an archive may be all of what it is allowed.
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

Content: TypeAlias = "bytes | Path"  # what an entry holds, or the file that holds it

MAX_FILES: Final = 1000
MAX_PATH_BYTES: Final = 240
# A step's outputs name every file and have 64 KiB.
MAX_PATHS_BYTES: Final = 32 * 1024
MAX_SIZE_BYTES: Final = 32 * 1024 * 1024

_UNIX: Final = 3
_EARLIEST: Final = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE_0644: Final = 0o100644
# What a path may not have, the first that fits being told. Lone surrogates are among the control
# characters because JSON can spell them and UTF-8 cannot.
_RULES: Final = tuple(
    (re.compile(pattern), message)
    for pattern, message in (
        (r"\A\Z", "is empty; name the file"),
        (r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", "has a control character in it"),
        (r"[\\:]", "has a backslash or a colon in it; parts of a path stand between '/'"),
        (r"\A/", "is absolute; a path in a bundle is relative, such as config/app.json"),
        (r"(\A|/)\.\.?(/|\Z)", "has '.' or '..' in it; write the path that is meant"),
        (r"//|/\Z", "has an empty part: two '/' in a row, or one at the end"),
        (r"[. ](/|\Z)", "has a part that ends with '.' or a space, which some systems drop"),
    )
)


class ArchiveError(Exception):
    """These files make no archive; the message names the file and the cure."""


def pack(files: Mapping[str, Content], into: BinaryIO) -> tuple[str, ...]:
    """Write the archive of *files*, contents by their path, and return the paths that it has.

    They are sorted, and in Unicode's form NFC. *into* is open for writing and seekable; without
    seeking a zip is other bytes.

    Raises:
        ArchiveError: a path is no good, or there is too much of something; nothing was written.
    """
    if problems := path_problems(files):
        raise ArchiveError("; ".join(f"{_shown(path)} {why}" for path, why in problems.items()))
    check_size(files)
    contents = {normalize("NFC", path): content for path, content in files.items()}
    paths = tuple(sorted(contents))
    if len(paths) > MAX_FILES or sum(len(path.encode()) for path in paths) > MAX_PATHS_BYTES:
        raise ArchiveError(
            f"{len(paths)} files are too many: at most {MAX_FILES} of them, and their paths "
            f"together at most {MAX_PATHS_BYTES} bytes"
        )
    with ZipFile(into, "w", ZIP_STORED) as archive:
        for path in paths:
            content = contents[path]
            source = BytesIO(content) if isinstance(content, bytes) else content.open("rb")
            with source, archive.open(_entry(path, _size(content)), "w") as entry:
                copyfileobj(source, entry)
    return paths


def check_size(files: Mapping[str, Content]) -> None:
    """Refuse contents that are too large together, without reading them.

    Raises:
        ArchiveError: they are.
    """
    sizes = {path: _size(content) for path, content in files.items()}
    total = sum(sizes.values())
    if total > MAX_SIZE_BYTES:
        largest = max(sizes, key=sizes.__getitem__)
        raise ArchiveError(
            f"the files have {total} bytes or more together, and {MAX_SIZE_BYTES} is the most; "
            f"the largest is {_shown(largest)} with {sizes[largest]}"
        )


def path_problems(paths: Iterable[str]) -> dict[str, str]:
    """What is wrong with each bad path of *paths*, in their order, to be read after the path.

    A good path is relative, has '/' between its parts, and is the same file wherever it is
    unpacked: two paths may not differ in case or in Unicode form alone.
    """
    given = list(paths)
    problems = {path: why for path in given if (why := _problem(path)) is not None}
    seen: dict[str, str] = {}
    for path in given:
        if path in problems:
            continue
        first = seen.setdefault(_folded(path), path)
        if first != path:
            problems[path] = f"is one file with '{first}' where case or Unicode form do not count"
    for path in given:
        if path not in problems and (file := next(_files_above(path, seen), None)) is not None:
            problems[path] = f"needs '{file}' to be a folder, and that is a file"
    return {path: problems[path] for path in given if path in problems}


def _problem(path: str) -> str | None:
    broken = next((message for rule, message in _RULES if rule.search(path)), None)
    if broken is None and len(normalize("NFC", path).encode()) > MAX_PATH_BYTES:
        return f"is longer than {MAX_PATH_BYTES} bytes"
    return broken


def _files_above(path: str, seen: Mapping[str, str]) -> Iterator[str]:
    parts = _folded(path).split("/")
    above = ("/".join(parts[:count]) for count in range(1, len(parts)))
    return (seen[folder] for folder in above if folder in seen)


def _folded(path: str) -> str:
    """The same text for all paths that some file system takes for one (Unicode D145)."""
    return normalize("NFD", normalize("NFD", path).casefold())


def _size(content: Content) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def _entry(path: str, size_bytes: int) -> ZipInfo:
    entry = ZipInfo(path, _EARLIEST)
    entry.file_size = size_bytes
    entry.create_system = _UNIX  # zipfile would write which system it runs on
    entry.external_attr = _REGULAR_FILE_0644 << 16
    entry.compress_type = ZIP_STORED
    return entry


def _shown(path: str) -> str:
    """*path* in quotes, its control characters escaped: it ends up in somebody's terminal.

    Told as a whole or not at all: in half a secret nobody finds the whole.
    """
    size = len(path)
    return repr(path) if size <= MAX_PATH_BYTES else f"a path of {size} characters"
