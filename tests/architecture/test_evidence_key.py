"""The key that signs evidence: of the right kind, and one function's alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from taskrunner.model import evidence as stating
from taskrunner.model.artifact import EVIDENCE_BUNDLE
from taskrunner_cli.evidence import folder
from taskrunner_cli.evidence import verification as verifying
from taskrunner_cli.evidence.statement import Statement
from tests.template import functions, template

if TYPE_CHECKING:
    from collections.abc import Iterator


def statements(node: Any, within: str = "") -> Iterator[tuple[str, dict[str, Any]]]:  # noqa: ANN401
    """Every policy statement below *node*, with the name of the resource that it stands in."""
    if isinstance(node, dict):
        if "Effect" in node:
            yield within, node
        for key, child in node.items():
            yield from statements(child, within or key)
    elif isinstance(node, list):
        for child in node:
            yield from statements(child, within)


def actions(statement: dict[str, Any]) -> list[str]:
    given = statement.get("Action", [])  # a boundary says what not, and grants nothing
    return [given] if isinstance(given, str) else given


def test_it_is_an_ecdsa_key_that_signs_and_outlives_the_stack() -> None:
    key = template()["Resources"]["EvidenceKey"]

    assert key["Properties"]["KeySpec"] == "ECC_NIST_P256"
    assert key["Properties"]["KeyUsage"] == "SIGN_VERIFY"
    assert key["DeletionPolicy"] == key["UpdateReplacePolicy"] == "Retain"


def test_settle_run_alone_may_sign() -> None:
    resources = template()["Resources"]
    may = [
        (name, statement.get("Principal"), statement["Resource"])
        for name, statement in statements(resources)
        if any(one in {"*", "kms:*", "kms:Sign"} for one in actions(statement))
        and statement["Effect"] == "Allow"
    ]

    role = {"AWS": {"Fn::GetAtt": "SettleRunFunctionRole.Arn"}}
    assert may == [
        ("EvidenceKey", role, "*"),
        ("SignEvidence", None, {"Fn::GetAtt": "EvidenceKey.Arn"}),
    ]
    assert resources["SignEvidence"]["Properties"]["Roles"] == [{"Ref": "SettleRunFunctionRole"}]


def test_settle_run_alone_knows_the_key() -> None:
    knowing = {
        name
        for name, own in functions().items()
        if "EVIDENCE_KEY_ARN" in own.get("Environment", {}).get("Variables", {})
    }

    assert knowing == {"SettleRunFunction"}


def test_what_verifies_and_what_states_mean_the_same_types() -> None:
    """The command line does not import the service, so that evidence is not its own witness."""
    fields = Statement.model_fields
    assert get_args(fields["type"].annotation) == (stating.STATEMENT_TYPE,)
    assert get_args(fields["predicate_type"].annotation) == (stating.PREDICATE_TYPE,)
    assert verifying.PAYLOAD_TYPE == stating.PAYLOAD_TYPE
    assert folder.BUNDLE_ARTIFACT == EVIDENCE_BUNDLE
