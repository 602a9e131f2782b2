"""The emulator's faster functions give the same results as MiniStack's own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from taskrunner_cli.local import emulator
from tests.template import ROOT

PYTHON = ROOT / ".local/venvs/emulator/bin/python"
REPLACED = [
    Path(emulator.__file__).with_name(name) for name in ("emulator_speed.py", "emulator_process.py")
]


def test_the_emulators_faster_functions_return_what_its_own_return() -> None:
    done = subprocess.run(  # noqa: S603 - our own program
        [PYTHON, "-P", Path(__file__).with_name("compared_emulator.py"), *REPLACED],
        check=True,
        capture_output=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": "", "AWS_DEFAULT_REGION": "us-east-1"},
    )

    assert json.loads(done.stdout) == []
