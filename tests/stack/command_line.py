"""The command line as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.stack.own_stack import own_workspace

TASKRUNNER = Path(sys.executable).parent / "taskrunner"


def taskrunner(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command in the clone whose stack this process uses."""
    return subprocess.run(  # noqa: S603 - the installed command
        [TASKRUNNER, *arguments],
        cwd=own_workspace().root,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
