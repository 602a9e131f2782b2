from __future__ import annotations

import subprocess
import sys

SOURCE = """
import gc, os
from taskrunner.adapters import cold_start
cold_start.begin(os.environ)
print(gc.isenabled())
cold_start.end(os.environ)
print(gc.isenabled(), gc.get_freeze_count() > 0, gc.get_threshold()[0])
"""


def states(**variables: str) -> str:
    """Return what a fresh interpreter prints, because the collector is the whole process's."""
    done = subprocess.run(  # noqa: S603 - every word is ours
        [sys.executable, "-c", SOURCE], env=variables, check=True, capture_output=True, text=True
    )
    return done.stdout


def test_a_function_collects_nothing_before_its_first_event() -> None:
    assert states(AWS_LAMBDA_FUNCTION_NAME="run_step") == "False\nTrue True 20000\n"


def test_another_process_keeps_its_own_settings() -> None:
    assert states().startswith("True\nTrue False ")
