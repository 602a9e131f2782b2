"""Each role grants what its code calls, and nothing more: both ways, call by call."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID

from taskrunner.adapters.artifacts import StoredArtifacts
from taskrunner.adapters.bucket import Bucket
from taskrunner.adapters.evidence import KmsEvidence
from taskrunner.adapters.large_texts import LargeTexts
from taskrunner.adapters.plans import BucketPlans
from taskrunner.adapters.releases import StoredBundles
from taskrunner.adapters.table import Table
from taskrunner.model.artifact import Artifact, ArtifactStatus, ArtifactType
from tests.architecture.ports import variables
from tests.contract.ports import RETENTION
from tests.contract.samples import a_run
from tests.security.permissions import grants
from tests.security.permissions.grants import Names
from tests.security.permissions.needs import REGION
from tests.template import functions

if TYPE_CHECKING:
    from tests.security.permissions.covering import Play

_NAMED = (
    "OpenGateFunction.Alias",
    "SettleRunFunction.Alias",
    "AWS::StackName",
    "ApprovalTopic",
    "EventBus",
    "EvidenceKey.Arn",
    "MachineRole.Arn",
    "PackRunMachine",
    "RunBucket.Arn",
    "RunTable.Arn",
)


def test_the_play_came_to_where_the_calls_are_made(played: Play) -> None:
    unfinished = {name: status for name, status in played.statuses.items() if status == "Pending"}

    assert unfinished == {}
    assert played.strays == set()
    assert played.statuses["working"] == "succeeded"


def test_a_function_may_do_what_it_does(played: Play) -> None:
    assert "\n".join(grants.missing(played.needs, played.names)) == ""


def test_a_function_does_all_that_it_may(played: Play) -> None:
    granted = grants.of_functions(played.names)

    unused = [
        f"{function}, {grant.sid}: {grant.action} on {grant.resource} for {grant.keys}"
        for function, grants_of_it in granted.items()
        for grant in grants_of_it
        if not any(grant.allows(need) for need in played.needs.get(function, ()))
    ]
    assert "\n".join(unused) == ""


def test_every_grant_names_a_resource_as_narrowly_as_its_kind_allows() -> None:
    """A wider pattern would be used too, so each resource must equal one of these.

    For the table, its partitions follow.
    """
    names = Names({name: f"<{name}>" for name in _NAMED})

    found = {
        (grant.resource.replace(f":{REGION}:{DEFAULT_ACCOUNT_ID}:", "::"), *grant.keys)
        for grants_of_it in grants.of_functions(names).values()
        for grant in grants_of_it
    }
    assert found == {
        ("<RunTable.Arn>", "T#*"),
        ("<RunTable.Arn>", "C#*", "G#*"),
        ("<RunTable.Arn>", "I#*"),
        ("<RunTable.Arn>", "M"),
        ("<RunTable.Arn>/index/unfinished-runs",),
        ("<RunTable.Arn>/index/runs-by-tenant",),
        ("<RunTable.Arn>/index/run-lists",),
        ("<RunTable.Arn>/index/open-approvals",),
        ("<RunTable.Arn>/index/due-work",),
        ("<RunBucket.Arn>",),
        ("<RunBucket.Arn>/*/plans/sha256-*",),
        ("<RunBucket.Arn>/*/bundles/sha256-*",),
        ("<RunBucket.Arn>/*/runs/*/artifacts/*",),
        ("<RunBucket.Arn>/*/runs/*/claims/*",),
        ("<RunBucket.Arn>/*/runs/*/evidence/*",),
        ("<PackRunMachine>",),
        ("<MachineRole.Arn>",),
        ("<EvidenceKey.Arn>",),
        ("<ApprovalTopic>",),
        ("<OpenGateFunction.Alias>",),
        ("<SettleRunFunction.Alias>",),
        ("arn:aws:events::event-bus/<EventBus>",),
        ("arn:aws:states::stateMachine:<AWS::StackName>_*",),
        (f"arn:aws:states::stateMachine:<AWS::StackName>_*-{'?' * 32}",),  # and not the prototype
        ("arn:aws:states::execution:<AWS::StackName>_*",),
        ("arn:aws:states::stateMachine:<AWS::StackName>_machine_*",),
        ("arn:aws:states::execution:<AWS::StackName>_machine_*",),
        ("arn:aws:secretsmanager::secret:<AWS::StackName>/*",),
        ("arn:aws:lambda::function:<AWS::StackName>_executor-*",),
        ("arn:aws:ecr:*:*:repository/*",),
        ("*",),  # a task token's answer and findings of Inspector, which know no resource
    }


# The folders of the bucket are no reserved words: a run may be called like one, and a tenant.
_FOLDERS = ("artifacts", "bundles", "claims", "evidence", "plans", "runs")


@pytest.fixture(name="objects", scope="module")
def _objects() -> dict[str, str]:
    """The key of an object of each kind, as the adapters make it, by the folder that it is in."""
    run = a_run("RUN", tenant="TENANT")
    stored = Stored()
    bucket, table = Bucket(stored, "runs"), Table(None, "runs")
    StoredBundles(bucket, run.tenant).put(Path(__file__))
    LargeTexts(bucket, RETENTION).store(run, "[]")
    BucketPlans(bucket, RETENTION).put("TENANT", run.plan_hash, {}, 1)
    KmsEvidence(None, "", bucket, RETENTION).store(run, b"{}")
    report = Artifact(name="report", type=ArtifactType.FILE, status=ArtifactStatus.CAPTURED)
    StoredArtifacts(table, bucket, RETENTION).store(run, report, Path(__file__))
    below = [key.removeprefix("TENANT/").removeprefix("runs/RUN/") for key in stored.keys]
    made = {prefix.partition("/")[0]: key for prefix, key in zip(below, stored.keys, strict=True)}
    assert made.keys() == {*_FOLDERS} - {"runs"}
    return made


class Stored:
    """A client of S3 that notes the keys which it is given."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def put_object(self, *, Key: str, **_: object) -> None:  # noqa: N803 - AWS's
        self.keys.append(Key)


@pytest.mark.parametrize("run_id", _FOLDERS)
@pytest.mark.parametrize("tenant", ["acme", *_FOLDERS])
def test_a_grant_on_objects_is_for_one_kind_whatever_a_run_is_called(
    objects: dict[str, str], tenant: str, run_id: str
) -> None:
    """A pattern's `*` goes on over slashes, so that more than the kind's own folder may match."""
    names = Names({name: f"<{name}>" for name in _NAMED} | {"RunBucket.Arn": "bucket"})

    wider = {
        (function, grant.action, grant.resource, kind)
        for function, grants_of_it in grants.of_functions(names).items()
        for grant in grants_of_it
        if grant.action.startswith("s3:")
        for kind, key in objects.items()
        if fnmatchcase(
            f"bucket/{key.replace('TENANT', tenant).replace('RUN', run_id)}", grant.resource
        )
        and f"/{kind}" not in grant.resource
    }
    assert wider == set()


def test_two_functions_notify_approvers_and_do_nothing_else_with_the_topic() -> None:
    names = Names({name: f"<{name}>" for name in _NAMED})

    publishing = {
        (function, grant.action)
        for function, grants_of_it in grants.of_functions(names).items()
        for grant in grants_of_it
        if grant.resource == "<ApprovalTopic>" or grant.action.startswith("sns:")
    }
    assert publishing == {
        ("OpenGateFunction", "sns:Publish"),
        ("ReconcileFunction", "sns:Publish"),
    }
    with_topic = {
        function for function in functions() if "APPROVAL_TOPIC_ARN" in variables(function)
    }
    assert with_topic == {"OpenGateFunction", "ReconcileFunction"}


def test_one_function_publishes_events_and_none_that_a_step_waits_for(played: Play) -> None:
    publishing = {
        function
        for function, needed in played.needs.items()
        if any(need.action.startswith("events:") for need in needed)
    }

    assert publishing == {"PublishEventsFunction"}


def test_one_function_writes_evidence_and_none_who_may_come_in() -> None:
    names = Names({name: f"<{name}>" for name in _NAMED})
    writes = ("dynamodb:PutItem", "dynamodb:UpdateItem", "s3:PutObject")

    writing = {
        (function, grant.resource, grant.keys)
        for function, grants_of_it in grants.of_functions(names).items()
        for grant in grants_of_it
        if grant.action in writes
    }
    assert {name for name, resource, _ in writing if "/evidence/" in resource} == {
        "SettleRunFunction"
    }
    of_the_table = {
        (keys, name) for name, resource, keys in writing if resource == "<RunTable.Arn>"
    }
    assert {keys for keys, _ in of_the_table} == {("T#*",), ("M",)}
    assert {name for keys, name in of_the_table if keys == ("M",)} == {"RemoveMachinesFunction"}
