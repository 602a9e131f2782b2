"""The place of an error in a pack: file, line and column, and a caret below the column."""

from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.unit.cli.conftest import Command

HEAD = """apiVersion: stellaops.io/pack.v1
kind: TaskPack
metadata: {name: a-pack, version: 1.0.0}
spec:
  steps:
"""
WRONG = "uses: builtin:scaner"


def _errors(command: Command, folder: Path, pack: str, columns: int = 0) -> list[str]:
    (folder / "p.yaml").write_bytes(pack.encode())
    more = {"columns": columns} if columns else {}
    ended = command("gates", str(folder / "p.yaml"), **more)
    assert ended.code == 1
    return ended.err.splitlines()


def _assert_points_at(lines: list[str], folder: Path, pack: str) -> None:
    """Check that the error stands at the key `uses` of *pack*, and its caret below that key."""
    before = pack[: pack.index("uses")].splitlines()
    place = f"{folder / 'p.yaml'}:{len(before)}:{len(before[-1]) + 1}"
    assert any(line.startswith(f"  ✗ {place} ") for line in lines), lines
    number = next(number for number, line in enumerate(lines) if line.rstrip().endswith("^"))
    quoted, caret = lines[number - 1], lines[number]
    assert cell_len(caret[: caret.index("^")]) == cell_len(quoted[: quoted.index("uses")]), lines


@pytest.mark.parametrize(
    "steps",
    [
        f"  - id: a\n    run:\n      {WRONG}\n",
        f"  - {{id: a, run: {{{WRONG}}}}}\n",
        f"  - {{id: a, name: 日本語, run: {{{WRONG}}}}}\n",
        f"  - {{id: a,\t\trun: {{{WRONG}}}}}\n",
        f'  - {{id: a, name: "x\u00a0y", run: {{{WRONG}}}}}\n',
    ],
    ids=["block", "flow", "wide letters", "tabs", "non-breaking space"],
)
def test_points_at_the_key_of_the_wrong_value(
    taskrunner: Command, tmp_path: Path, steps: str
) -> None:
    _assert_points_at(_errors(taskrunner, tmp_path, HEAD + steps), tmp_path, HEAD + steps)


def test_counts_lines_that_end_with_a_carriage_return_and_a_line_feed(
    taskrunner: Command, tmp_path: Path
) -> None:
    pack = (HEAD + f"  - {{id: a, run: {{{WRONG}}}}}\n").replace("\n", "\r\n")

    _assert_points_at(_errors(taskrunner, tmp_path, pack), tmp_path, pack)


def test_a_line_that_is_wider_than_the_terminal_is_cut_around_its_place(
    terminal: Command, tmp_path: Path
) -> None:
    steps = f"  - {{id: a, name: {'x' * 300}, run: {{{WRONG}}}}}  # {'y' * 300}\n"

    lines = _errors(terminal, tmp_path, HEAD + steps, columns=60)

    _assert_points_at(lines, tmp_path, HEAD + steps)
    assert all(cell_len(line) <= 60 for line in lines if "│" in line)


def test_a_pack_in_one_long_line_is_not_printed_whole(taskrunner: Command, tmp_path: Path) -> None:
    lines = _errors(taskrunner, tmp_path, "[" * 100_000 + "]" * 100_000)

    assert max(map(len, lines)) < 300


def test_shows_the_place_of_every_error(taskrunner: Command, tmp_path: Path) -> None:
    steps = f"  - {{id: a, run: {{{WRONG}}}}}\n  - {{id: b, run: {{{WRONG}}}}}\n"

    lines = _errors(taskrunner, tmp_path, HEAD + steps)

    assert [line.split(":")[1] for line in lines if line.startswith("  ✗ ")] == ["6", "7"]


def test_an_error_of_yaml_has_its_place_too(taskrunner: Command, tmp_path: Path) -> None:
    lines = _errors(taskrunner, tmp_path, HEAD + "  - {id: a, run: {uses: [}}\n")

    assert any(line.startswith(f"  ✗ {tmp_path / 'p.yaml'}:6:") for line in lines), lines
