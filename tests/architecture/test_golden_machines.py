"""The linters of AWS's formats accept the machine of every golden pack."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from taskrunner.compiler.machine import frame
from tests.golden.cases import GOOD, Case

FUNCTIONS = (
    "RunStepFunctionArn",
    "OpenGateFunctionArn",
    "DecideFlowFunctionArn",
    "OfferJobFunctionArn",
    "CallMachineFunctionArn",
    "SettleRunFunctionArn",
)
BOUND = {name: f"arn:aws:lambda:eu-central-1:123456789012:function:{name}" for name in FUNCTIONS}
BOUND[frame.PARTITION] = "aws"


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the machines of all golden packs, bound to functions, each into a file."""
    folder = tmp_path_factory.mktemp("definitions")
    for case in GOOD:
        text = json.dumps(frame.bind(case.compiled().definition, BOUND), ensure_ascii=False)
        # statelint does not know the hyphen in $.items['a-b'], which Step Functions does.
        text = re.sub(r"\['[\w-]+'\]", lambda name: name[0].replace("-", "_"), text)
        (folder / f"{case.name}.json").write_text(text, encoding="utf-8")
    return folder


def without_output_path_of_success(state: dict[str, Any]) -> dict[str, Any]:
    """Return a state without a field of Succeed that cfn-lint does not know.

    The States Language has it.
    """
    if state.get("Type") == "Succeed":
        state.pop("OutputPath", None)
    return state


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_a_machine_in_china_names_nothing_of_another_partition(case: Case) -> None:
    values = {name: arn.replace("arn:aws:", "arn:aws-cn:") for name, arn in BOUND.items()}

    bound = frame.bind(case.compiled().definition, values | {frame.PARTITION: "aws-cn"})

    text = json.dumps(bound)
    assert "arn:aws:" not in text
    assert "arn:aws-cn:states:::lambda:invoke" in text or '"Resource"' not in text


def test_statelint_accepts_every_golden_machine(definitions: Path) -> None:
    files = sorted(map(str, definitions.glob("*.json")))
    command = [sys.executable, "-m", "statelint", "--ignore=FLOAT", *files]

    linted = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603

    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_cloudformations_linter_accepts_every_golden_machine(
    definitions: Path, tmp_path: Path
) -> None:
    """They are texts, because cfn-lint would look for references in each value of an object."""
    for path in definitions.glob("*.json"):
        text = path.read_text(encoding="utf-8")
        definition = json.loads(text, object_hook=without_output_path_of_success)
        # cfn-lint does not know the Parameters of a Parallel, which the States Language has.
        del definition["States"][frame.FRAME]["Parameters"]
        properties = {
            "RoleArn": "arn:aws:iam::123456789012:role/pack",
            "DefinitionString": json.dumps(definition, ensure_ascii=False),
        }
        resource = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
        template = {"Resources": {"Machine": resource}}
        text = json.dumps(template, ensure_ascii=False)
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    cfn_lint = Path(sys.executable).with_name("cfn-lint")
    command = [str(cfn_lint), "--regions", "eu-central-1", "--"]

    linted = subprocess.run(  # noqa: S603
        [*command, *map(str, tmp_path.glob("*.json"))], capture_output=True, text=True, check=False
    )

    assert linted.returncode == 0, linted.stdout + linted.stderr
