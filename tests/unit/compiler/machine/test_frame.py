"""The places in a machine where a deployment's functions and partition go."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings

from taskrunner.compiler.driver import compile_pack
from taskrunner.compiler.machine import frame
from taskrunner.errors import TryAgainError
from tests import strategies
from tests.packs import pack
from tests.template import ROOT

WRITTEN = yaml.load(
    (ROOT / "statemachine/pack_run.asl.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader
)
FUNCTIONS = {
    name: f"arn:aws-us-gov:lambda:::{name}"
    for name in (
        "RunStepFunctionArn",
        "OpenGateFunctionArn",
        "DecideFlowFunctionArn",
        "OfferJobFunctionArn",
        "CallMachineFunctionArn",
        "SettleRunFunctionArn",
    )
}
VALUES = FUNCTIONS | {frame.PARTITION: "aws-us-gov"}


def test_reads_a_deployments_functions_off_its_machine_and_binds_others_to_them() -> None:
    steps = "- {id: g, gate: {approval: {id: r}}}\n- {id: a, run: {uses: builtin:noop}}"
    deployed = frame.bind(WRITTEN, VALUES)
    definition = compile_pack(pack(steps, spec="approvals: [{id: r}]"), {}).definition

    bound = frame.bind(definition, frame.bindings(deployed))

    assert frame.bindings(deployed) == VALUES
    assert "${" not in json.dumps(bound)
    resource = bound["States"][frame.FRAME]["Branches"][0]["States"]["a"]["Resource"]
    assert resource == "arn:aws-us-gov:states:::lambda:invoke"


def test_finds_no_bindings_in_a_machine_of_another_shape() -> None:
    with pytest.raises(TryAgainError, match="another release"):
        frame.bindings({"StartAt": "x", "States": {}})


@pytest.mark.parametrize("version", ["${Nobody}", "${RunStepFunctionArn}"])
def test_never_takes_an_authors_text_for_a_function(version: str) -> None:
    definition = compile_pack(pack("- {id: Comment, run: {uses: builtin:noop}}"), {}).definition
    definition["Comment"] = version

    bound = frame.bind(definition, VALUES)

    steps = bound["States"][frame.FRAME]
    assert bound["Comment"] == version
    assert steps["Branches"][0]["States"]["Comment"]["Type"] == "Task"
    assert steps["Parameters"]["arn"]["run"] == FUNCTIONS["RunStepFunctionArn"]


@settings(max_examples=30)
@given(strategies.packs(), strategies.inputs)
def test_binds_every_generated_machine(manifest: dict[str, Any], inputs: dict[str, Any]) -> None:
    definition = compile_pack(strategies.as_yaml(manifest), inputs).definition

    bound = frame.bind(definition, VALUES)

    assert json.loads(json.dumps(bound)) == bound


def test_compiling_leaves_the_prototypes_as_they_are() -> None:
    compile_pack(pack("- {id: a, retries: {maxAttempts: 9}, run: {uses: builtin:noop}}"), {})

    assert frame.frame() == WRITTEN
