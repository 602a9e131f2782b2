"""The same files give the same archive, and no file can escape or hide another."""

import hashlib
import unicodedata
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from random import Random
from zipfile import ZIP_STORED, ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.executors import archive
from taskrunner.executors.archive import ArchiveError, Content

_PARTS = st.text(
    st.characters(codec="utf-8", exclude_characters='/\\:. "', exclude_categories=["C"]),
    min_size=1,
    max_size=8,
)
_PATHS = st.lists(_PARTS, min_size=1, max_size=3).map("/".join)
_FILES = st.dictionaries(_PATHS, st.binary(max_size=50), max_size=8).filter(
    lambda files: not archive.path_problems(files)
)


def pack(files: Mapping[str, Content]) -> tuple[bytes, tuple[str, ...]]:
    zipped = BytesIO()
    paths = archive.pack(files, zipped)
    return zipped.getvalue(), paths


@given(_FILES, st.randoms(use_true_random=False))
def test_the_order_of_the_files_does_not_change_the_bytes(
    files: dict[str, bytes], random: Random
) -> None:
    shuffled = list(files.items())
    random.shuffle(shuffled)

    assert pack(files) == pack(dict(shuffled))


@given(_FILES)
def test_an_archive_unpacks_to_its_files(files: dict[str, bytes]) -> None:
    content, paths = pack(files)

    with ZipFile(BytesIO(content)) as opened:
        unpacked = {name: opened.read(name) for name in opened.namelist()}
    expected = {unicodedata.normalize("NFC", path): data for path, data in files.items()}
    assert unpacked == expected
    assert tuple(unpacked) == paths == tuple(sorted(expected))


@given(_FILES, _FILES)
def test_different_files_give_different_bytes(
    first: dict[str, bytes], second: dict[str, bytes]
) -> None:
    def composed(files: dict[str, bytes]) -> dict[str, bytes]:
        return {unicodedata.normalize("NFC", path): data for path, data in files.items()}

    assert (composed(first) == composed(second)) == (pack(first) == pack(second))


def test_the_bytes_are_the_same_with_every_python_on_every_machine() -> None:
    """This digest must never change: a digest that was approved can be built again."""
    content, _ = pack({"readme.md": b"# hello\n", "conf/é.json": b"{}", "empty": b""})

    expected = "05421c4a022f4f914ffff2940fa6cdc739fcadc8a89a4a464b33b31b3cff1bfc"
    assert hashlib.sha256(content).hexdigest() == expected


def test_a_file_and_its_content_give_the_same_bytes(tmp_path: Path) -> None:
    file = tmp_path / "any-name"
    file.write_bytes(b"# hello\n" * 100_000)

    assert pack({"readme.md": file}) == pack({"readme.md": file.read_bytes()})


def test_a_refused_archive_writes_nothing() -> None:
    zipped = BytesIO()

    with pytest.raises(ArchiveError):
        archive.pack({"../up": b""}, zipped)

    assert zipped.getvalue() == b""


def test_an_entry_has_a_fixed_date_system_and_mode() -> None:
    with ZipFile(BytesIO(pack({"a": b"a", "é": b"b"})[0])) as opened:
        entries = opened.infolist()

    for entry in entries:
        assert entry.date_time == (1980, 1, 1, 0, 0, 0)
        assert (
            entry.create_system,
            entry.compress_type,
            entry.external_attr,
            entry.extra,
        ) == (3, ZIP_STORED, 0o100644 << 16, b"")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("", "is empty"),
        ("/etc/passwd", "is absolute"),
        ("C:/windows", "contains a backslash or a colon"),
        ("a\\b", "contains a backslash or a colon"),
        ("..", "contains '.' or '..'"),
        ("a/../b", "contains '.' or '..'"),
        ("./a", "contains '.' or '..'"),
        ("a/..", "contains '.' or '..'"),
        ("a//b", "has an empty part"),
        ("a/", "has an empty part"),
        ("a./b", "has a part that ends with '.' or a space"),
        ("a ", "has a part that ends with '.' or a space"),
        ("...", "has a part that ends with '.' or a space"),
        ("a\nb", "contains a control character"),
        ("a\x00b", "contains a control character"),
        ("a\ud800", "contains a control character"),
        ("é" * 121, "is longer than 240 bytes"),
    ],
)
def test_an_unsafe_path_is_refused(path: str, why: str) -> None:
    assert archive.path_problems([path, "fine"])[path].startswith(why)
    with pytest.raises(ArchiveError) as refusal:
        pack({path: b"", "fine": b""})

    assert why in str(refusal.value)
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("readme", "README"),
        ("straße", "STRASSE"),
        ("\u00e9", "e\u0301"),
        ("\u00c9", "e\u0301"),
        ("a/\u00e9/b", "A/e\u0301/b"),
    ],
)
def test_two_paths_that_are_the_same_file_on_some_system_are_refused(
    first: str, second: str
) -> None:
    expected = {
        second: f"is the same file as '{first}' on systems that ignore case or Unicode form"
    }

    assert archive.path_problems([first, second]) == expected


def test_a_path_below_another_file_is_refused() -> None:
    expected = {"A/b/c": "needs 'a' to be a folder, but that is a file"}

    assert archive.path_problems(["A/b/c", "a", "b/c"]) == expected


@pytest.mark.parametrize("path", ["a", ".env", "..a", "a/.b/c d", "-", "日本/語.txt", "é" * 120])
def test_an_unusual_but_safe_path_is_accepted(path: str) -> None:
    assert (path,) == pack({path: b""})[1]


def test_content_that_is_too_large_is_refused_with_the_largest_file() -> None:
    half = bytes(archive.MAX_SIZE_BYTES // 2)
    pack({"a": half, "b": half})

    with pytest.raises(
        ArchiveError, match=r"^the files have at least 33554433 bytes .* 'b' with 16777217 bytes$"
    ):
        pack({"a": half, "b": half + b"!"})


def test_more_than_a_thousand_files_are_refused() -> None:
    files = {f"f{number}": b"" for number in range(archive.MAX_FILES)}
    pack(files)

    with pytest.raises(ArchiveError, match=r"^1001 files are too many"):
        pack({**files, "one-more": b""})


def test_paths_that_are_too_long_together_are_refused() -> None:
    with pytest.raises(ArchiveError, match=r"at most 32768 bytes together$"):
        pack({f"{number:0240}": b"" for number in range(137)})
