"""A bounded run of each fuzzer over its corpus; `make fuzz` runs for as long as asked."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.security.fuzz.run import ROOT, seeds
from tests.security.fuzz.targets import TARGETS

if TYPE_CHECKING:
    from pathlib import Path

_SECONDS = 5


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_is_found_in_a_bounded_run(target: str, tmp_path: Path) -> None:
    paths = [ROOT / "layers/core/python", ROOT / "cli", ROOT]

    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "tests.security.fuzz.run", target, str(_SECONDS), str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        timeout=500,
        check=False,
    )

    output = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode == 0, output[-4000:]
    assert output.startswith(f"{target}: ")
    assert list(tmp_path.glob("*/broken-*")) == []


@pytest.mark.parametrize("target", TARGETS)
def test_every_seed_is_small_and_fine(target: str) -> None:
    known = seeds(target)

    assert len(known) > 20
    for path in known:
        TARGETS[target](path.read_bytes())
