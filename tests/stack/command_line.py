"""The command line as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.stack.own_stack import own_workspace

TASKRUNNER = Path(sys.executable).parent / "taskrunner"


def taskrunner(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command in the clone whose stack this process uses.

    It finds the stack by itself: TASKRUNNER_PORT may be the port of the other process's stack.
    """
    environment = {name: value for name, value in os.environ.items() if name != "TASKRUNNER_PORT"}
    return subprocess.run(  # noqa: S603 - the installed command
        [TASKRUNNER, *arguments],
        cwd=own_workspace().root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
