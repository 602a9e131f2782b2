"""The command line as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.template import ROOT

TASKRUNNER = Path(sys.executable).parent / "taskrunner"


def taskrunner(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command in the project's folder."""
    return subprocess.run(  # noqa: S603 - the installed command
        [TASKRUNNER, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
