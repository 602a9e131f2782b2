"""The address at which AWS shows the execution of a run, in each partition."""

from __future__ import annotations

import pytest

from taskrunner.adapters.execution_links import AwsExecutionLinks
from taskrunner.model.machine_call import Execution
from tests.contract.samples import a_run

RUN = a_run("run-7", machine="taskrunner_a-pack-0", execution="run-7-1")


@pytest.mark.parametrize(
    ("partition", "region", "console"),
    [
        ("aws", "eu-central-1", "https://eu-central-1.console.aws.amazon.com"),
        ("aws-cn", "cn-north-1", "https://cn-north-1.console.amazonaws.cn"),
        ("aws-us-gov", "us-gov-west-1", "https://console.amazonaws-us-gov.com"),
    ],
)
def test_names_the_execution_and_its_page_in_the_partitions_console(
    partition: str, region: str, console: str
) -> None:
    account = f"arn:{partition}:states:{region}:123456789012"

    links = AwsExecutionLinks(
        f"{account}:stateMachine:taskrunner_pack-run",
        f"{account}:stateMachine:taskrunner_machine_",
        has_console=True,
    )

    arn = f"{account}:execution:taskrunner_a-pack-0:run-7-1"
    url = f"{console}/states/home?region={region}#/v2/executions/details/{arn}"
    assert links.of(RUN) == {"executionArn": arn, "executionUrl": url}
    called = links.of_call(Execution("import-catalog", "run-7-2"))
    assert called["executionArn"] == (
        f"{account}:execution:taskrunner_machine_import-catalog:run-7-2"
    )
    assert called["executionUrl"].endswith(called["executionArn"])


@pytest.mark.parametrize(("partition", "has_console"), [("aws", False), ("aws-iso", True)])
def test_has_no_address_where_the_console_is_unknown(partition: str, *, has_console: bool) -> None:
    prototype = f"arn:{partition}:states:r:1:stateMachine:p"

    links = AwsExecutionLinks(prototype, f"{prototype}_machine_", has_console=has_console)

    assert links.of(RUN).keys() == {"executionArn"}
