"""The command line against the local stack: the first commands of a newcomer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.template import ROOT

TASKRUNNER = Path(sys.executable).parent / "taskrunner"


def taskrunner(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 -- the installed command
        [TASKRUNNER, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )


def test_the_demo_passes_all_its_checks(stack: object) -> None:
    assert stack

    demo = taskrunner("demo")

    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert demo.stdout.rstrip().endswith("checks hold.")


def test_the_first_example_pack_succeeds(stack: object) -> None:
    assert stack
    pack = "examples/hello.yaml"

    run = taskrunner("run", pack, "--input", "image=alpine:latest", "--watch", "--output", "json")

    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["status"] == "succeeded"
