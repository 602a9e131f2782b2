"""The command line against the local stack: the first commands of a newcomer."""

from __future__ import annotations

import json

from tests.stack.command_line import taskrunner


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
