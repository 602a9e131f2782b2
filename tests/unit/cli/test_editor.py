"""An editor completes, explains and checks packs, through the YAML language server of npm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.template import ROOT
from tests.unit.cli.language_server import LanguageServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.unit.cli.conftest import Command
    from tests.unit.cli.language_server import Position

    Written = Callable[[str, str], Path]


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[LanguageServer]:
    with LanguageServer() as server:
        yield server


@pytest.fixture(name="written")
def _written(taskrunner: Command, tmp_path: Path) -> Written:
    """A function that makes a pack with `init`, replaces a text in it, and returns its file."""

    def write(old: str, new: str) -> Path:
        file = tmp_path / "pack.yaml"
        assert taskrunner("init", str(tmp_path)).code == 0
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")
        return file

    return write


def _end_of(text: str, file: Path) -> Position:
    """The position after the first *text* in *file*."""
    before, found, _ = file.read_text(encoding="utf-8").partition(text)
    lines = (before + found).split("\n")
    return len(lines) - 1, len(lines[-1])


def test_finds_no_mistake_in_a_pack_that_init_wrote(
    server: LanguageServer, written: Written
) -> None:
    assert server.opened(written("steps:", "steps:")) == []


def test_completes_the_keys_of_a_step_and_explains_them(
    server: LanguageServer, written: Written
) -> None:
    file = written("    - id: deploy\n", "    - id: deploy\n      \n")
    server.opened(file)

    offered = server.completions(file, _end_of("- id: deploy\n      ", file))

    assert {"when", "retries", "timeoutSeconds", "continueOnError", "parallel"} <= offered.keys()
    assert offered["timeoutSeconds"] == "The seconds that one attempt may take."
    assert "id" not in offered  # the step has it


def test_explains_a_key_on_which_the_mouse_rests(server: LanguageServer, written: Written) -> None:
    file = written("steps:", "steps:")
    server.opened(file)

    assert "may not approve" in server.hover(file, _end_of("      distinctFrom", file))


@pytest.mark.parametrize(
    ("right", "wrong", "mistake"),
    [
        ("grants:", "grant:", "Property grant is not allowed."),
        ("expiresAfterSeconds: 86400", "expiresAfterSeconds: soon", "Incorrect type."),
        ("quotaSeconds: 120", "quotaSeconds: 0", "Value is below the minimum of 1."),
        ("type: string", "type: text", "Value is not accepted."),
    ],
)
def test_marks_the_line_of_a_wrong_key_and_of_a_wrong_value(
    server: LanguageServer, written: Written, right: str, wrong: str, mistake: str
) -> None:
    file = written(right, wrong)

    (reported,) = server.opened(file)

    assert reported.startswith(f"{_end_of(wrong, file)[0] + 1}: {mistake}")


def test_takes_every_example_with_the_schema_in_docs(
    server: LanguageServer, tmp_path: Path
) -> None:
    schema = ROOT / "docs/schemas/pack.v1.json"
    packs = sorted(ROOT.glob("examples/*.yaml")) + sorted(
        ROOT.glob("examples/workflows/*/pack.yaml")
    )

    for number, pack in enumerate(packs):
        file = tmp_path / f"{number}.yaml"
        file.write_text(f"# yaml-language-server: $schema={schema}\n" + pack.read_text("utf-8"))

        assert server.opened(file) == [], pack
