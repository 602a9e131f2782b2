"""Archives: the same files are the same bytes, and no file can escape or hide another."""

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

from taskrunner.model import archive
from taskrunner.model.archive import ArchiveError, Content

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
def test_the_order_of_the_files_does_not_show_in_the_bytes(
    files: dict[str, bytes], random: Random
) -> None:
    shuffled = list(files.items())
    random.shuffle(shuffled)

    assert pack(files) == pack(dict(shuffled))


@given(_FILES)
def test_what_is_packed_is_unpacked(files: dict[str, bytes]) -> None:
    content, paths = pack(files)

    with ZipFile(BytesIO(content)) as opened:
        unpacked = {name: opened.read(name) for name in opened.namelist()}
    expected = {unicodedata.normalize("NFC", path): data for path, data in files.items()}
    assert unpacked == expected
    assert tuple(unpacked) == paths == tuple(sorted(expected))


@given(_FILES, _FILES)
def test_other_files_are_other_bytes(one: dict[str, bytes], other: dict[str, bytes]) -> None:
    def composed(files: dict[str, bytes]) -> dict[str, bytes]:
        return {unicodedata.normalize("NFC", path): data for path, data in files.items()}

    assert (composed(one) == composed(other)) == (pack(one) == pack(other))


def test_the_bytes_are_these_with_every_python_on_every_machine() -> None:
    """Kept for good: a digest that was approved once must come out again."""
    content, _ = pack({"readme.md": b"# hello\n", "conf/é.json": b"{}", "empty": b""})

    expected = "05421c4a022f4f914ffff2940fa6cdc739fcadc8a89a4a464b33b31b3cff1bfc"
    assert hashlib.sha256(content).hexdigest() == expected


def test_a_file_and_its_content_are_the_same_bytes(tmp_path: Path) -> None:
    file = tmp_path / "any-name"
    file.write_bytes(b"# hello\n" * 100_000)

    assert pack({"readme.md": file}) == pack({"readme.md": file.read_bytes()})


def test_what_is_refused_leaves_nothing_behind() -> None:
    zipped = BytesIO()

    with pytest.raises(ArchiveError):
        archive.pack({"../up": b""}, zipped)

    assert zipped.getvalue() == b""


def test_no_entry_says_when_or_where_it_was_made() -> None:
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
        ("C:/windows", "has a backslash or a colon"),
        ("a\\b", "has a backslash or a colon"),
        ("..", "has '.' or '..'"),
        ("a/../b", "has '.' or '..'"),
        ("./a", "has '.' or '..'"),
        ("a/..", "has '.' or '..'"),
        ("a//b", "has an empty part"),
        ("a/", "has an empty part"),
        ("a./b", "has a part that ends with '.' or a space"),
        ("a ", "has a part that ends with '.' or a space"),
        ("...", "has a part that ends with '.' or a space"),
        ("a\nb", "has a control character"),
        ("a\x00b", "has a control character"),
        ("a\ud800", "has a control character"),
        ("é" * 121, "is longer than 240 bytes"),
    ],
)
def test_a_path_that_could_surprise_is_refused(path: str, why: str) -> None:
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
def test_two_paths_that_are_one_file_somewhere_are_refused(first: str, second: str) -> None:
    expected = {second: f"is one file with '{first}' where case or Unicode form do not count"}

    assert archive.path_problems([first, second]) == expected


def test_a_file_is_no_folder_at_the_same_time() -> None:
    expected = {"A/b/c": "needs 'a' to be a folder, and that is a file"}

    assert archive.path_problems(["A/b/c", "a", "b/c"]) == expected


@pytest.mark.parametrize("path", ["a", ".env", "..a", "a/.b/c d", "-", "日本/語.txt", "é" * 120])
def test_an_unusual_path_that_is_safe_is_fine(path: str) -> None:
    assert (path,) == pack({path: b""})[1]


def test_contents_that_are_too_large_together_are_refused_with_the_largest() -> None:
    half = bytes(archive.MAX_SIZE_BYTES // 2)
    pack({"a": half, "b": half})

    with pytest.raises(ArchiveError, match=r"^the files have 33554433 bytes .* 'b' with 16777217$"):
        pack({"a": half, "b": half + b"!"})


def test_a_thousand_files_are_fine_and_one_more_is_not() -> None:
    files = {f"f{number}": b"" for number in range(archive.MAX_FILES)}
    pack(files)

    with pytest.raises(ArchiveError, match=r"^1001 files are too many"):
        pack({**files, "one-more": b""})


def test_paths_that_no_outputs_could_list_are_refused() -> None:
    with pytest.raises(ArchiveError, match=r"together at most 32768 bytes$"):
        pack({f"{number:0240}": b"" for number in range(137)})
