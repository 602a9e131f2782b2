"""GitHub runs what a developer runs, on every supported Python, and without a stored key."""

from __future__ import annotations

import shlex
import subprocess
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.template import ROOT, template

if TYPE_CHECKING:
    from pathlib import Path

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))


def workflow(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text())
    return loaded


def supported_pythons() -> list[str]:
    """The versions that `requires-python` allows, as it is written: at least one, below another."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    least, limit = (bound.strip("<>=") for bound in project["requires-python"].split(","))
    return [f"3.{minor}" for minor in range(int(least[2:]), int(limit[2:]))]


def test_every_supported_python_is_tested() -> None:
    job = workflow("checks.yaml")["jobs"]["test"]

    assert job["strategy"]["matrix"]["python"] == supported_pythons()
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]


@pytest.mark.parametrize(("chosen", "is_same"), [("3.12", True), ("3.13", False)])
def test_the_tests_run_with_the_python_that_was_chosen(
    tmp_path: Path, chosen: str, *, is_same: bool
) -> None:
    """The distribution's Python takes its place only if it has the same version."""
    distribution = _program(tmp_path / "distribution", "echo 3.12")
    for name, line in (("python3", f"echo {chosen}"), ("make", 'echo "$@"'), ("chromium", "")):
        _program(tmp_path / "bin" / name, line)
    script = tmp_path / "run"
    script.write_text((ROOT / ".ci/run").read_text().replace("/usr/bin/python3", str(distribution)))

    done = subprocess.run(  # noqa: S603 - our own script
        ["/bin/bash", script],
        env={"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )

    used = distribution if is_same else "python3"
    assert done.stdout.splitlines()[-1] == f"PYTHON={used} test"


def _program(path: Path, line: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
    return path


def test_a_deployment_waits_for_the_tests_and_for_an_approver() -> None:
    jobs = workflow("deploy.yaml")["jobs"]

    assert jobs["checks"]["uses"] == "./.github/workflows/checks.yaml"
    assert jobs["deploy"]["needs"] == "checks"
    assert jobs["deploy"]["environment"] == "${{ inputs.environment }}"


def test_a_deployment_runs_what_its_layers_were_built_for() -> None:
    steps = {step["name"]: step for step in workflow("deploy.yaml")["jobs"]["deploy"]["steps"]}
    build, deploy = steps["Build"], steps["Deploy"]
    python, architecture = (deploy["env"][name] for name in ("PYTHON_VERSION", "ARCHITECTURE"))

    assert build["run"].endswith("sam build")
    assert build["env"]["LAYER_PYTHON"] == python
    assert build["env"]["LAYER_ARCHITECTURE"] == architecture
    assert steps["Install the functions' Python"]["with"]["python-version"] == python
    overrides = deploy["run"].partition("--parameter-overrides ")[2]
    assert shlex.split(overrides) == [
        "BuildVersion=$BUILD_VERSION",
        "Runtime=python$PYTHON_VERSION",
        "Architecture=$ARCHITECTURE",
    ]
    defaults = template()["Parameters"]
    assert python == "${{ vars.PYTHON_VERSION || '3.13' }}"
    assert defaults["Runtime"]["Default"] == "python3.13"
    assert (
        architecture == f"${{{{ vars.ARCHITECTURE || '{defaults['Architecture']['Default']}' }}}}"
    )


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_workflow_uses_a_stored_key(path: Path) -> None:
    text = path.read_text()

    assert "secrets." not in text
    assert "aws-access-key-id" not in text
