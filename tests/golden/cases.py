"""The golden packs: their files, their inputs, and their plans and machines, compiled once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taskrunner.compiler.driver import compile_pack

if TYPE_CHECKING:
    from taskrunner.compiler.driver import CompiledPack

HERE = Path(__file__).parent
_INPUTS = "# inputs: "


@dataclass(frozen=True)
class Case:
    """One pack of packs/ or bad/, by the path of its manifest."""

    path: Path

    @property
    def name(self) -> str:
        """The file's name without its ending: the rule that the case shows."""
        return self.path.stem

    @property
    def manifest(self) -> str:
        """The pack's text, with its line ends as they are in the file."""
        return self.path.read_bytes().decode()

    @property
    def inputs(self) -> dict[str, Any]:
        """The inputs: those of the first line's comment or of `<case>.inputs.json`, or none."""
        beside = self.path.with_suffix(".inputs.json")
        first_line = self.manifest.partition("\n")[0]
        if beside.exists():
            text = beside.read_text(encoding="utf-8")
        elif first_line.startswith(_INPUTS):
            text = first_line.removeprefix(_INPUTS)
        else:
            text = "{}"
        inputs: dict[str, Any] = json.loads(text)
        return inputs

    def compiled(self) -> CompiledPack:
        """The pack's plan and machine, which are shared by every test that asks for them."""
        return _compiled(self)


@cache
def _compiled(case: Case) -> CompiledPack:
    return compile_pack(case.manifest, case.inputs)


def _cases(folder: str) -> list[Case]:
    return [Case(path) for path in sorted((HERE / folder).glob("*.yaml"))]


def name(case: Case) -> str:
    """A case's name, as the id of a parametrized test."""
    return case.name


GOOD = _cases("packs")
BAD = _cases("bad")
# Machines that are kept whole; of the others the wiring is kept.
WHOLE = ("deploy-app", "scan-deploy", "when-retries-and-a-gate-last")
