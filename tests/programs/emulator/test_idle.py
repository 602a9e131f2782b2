"""A function that waits costs the emulator nothing, and ends when it should."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from taskrunner_cli.local import emulator
from tests.template import ROOT

PYTHON = ROOT / ".local/venvs/emulator/bin/python"
REPLACING = Path(emulator.__file__).with_name("emulator_idle.py")


def test_a_function_waits_without_looks_and_leaves_no_thread() -> None:
    done = subprocess.run(  # noqa: S603 - our own program
        [PYTHON, "-P", Path(__file__).with_name("idle_emulator.py"), REPLACING],
        check=True,
        capture_output=True,
        env=os.environ | {"PYTHONPATH": ""},
        timeout=120,
    )

    assert json.loads(done.stdout) == {
        "answers": [1, 2, 3],
        "looks": 0,
        "failure": "Runtime.ExitError",
        "is_another": True,
        "threads": 0,
        "socket": -1,
    }
