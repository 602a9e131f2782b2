"""The key that signs evidence: its kind, and the one function that may use it."""

from __future__ import annotations

from typing import get_args

from taskrunner.model import evidence as service
from taskrunner.model.artifact import EVIDENCE_BUNDLE
from taskrunner_cli.evidence import folder
from taskrunner_cli.evidence import verification as verifier
from taskrunner_cli.evidence.statement import Statement
from tests.architecture.policies import actions, statements
from tests.template import functions, template


def test_is_an_ecdsa_signing_key_that_outlives_the_stack() -> None:
    key = template()["Resources"]["EvidenceKey"]

    assert key["Properties"]["KeySpec"] == "ECC_NIST_P256"
    assert key["Properties"]["KeyUsage"] == "SIGN_VERIFY"
    assert key["DeletionPolicy"] == "RetainExceptOnCreate"
    assert key["UpdateReplacePolicy"] == "Retain"


def test_only_settle_run_may_sign() -> None:
    resources = template()["Resources"]
    signers = [
        (name, statement.get("Principal"), statement["Resource"])
        for name, statement in statements(resources)
        if any(action in {"*", "kms:*", "kms:Sign"} for action in actions(statement))
        and statement["Effect"] == "Allow"
    ]

    role = {"AWS": {"Fn::GetAtt": "SettleRunFunctionRole.Arn"}}
    assert signers == [
        ("EvidenceKey", role, "*"),
        ("SignEvidence", None, {"Fn::GetAtt": "EvidenceKey.Arn"}),
    ]
    assert resources["SignEvidence"]["Properties"]["Roles"] == [{"Ref": "SettleRunFunctionRole"}]


def test_only_settle_run_gets_the_keys_arn() -> None:
    configured = {
        name
        for name, properties in functions().items()
        if "EVIDENCE_KEY_ARN" in properties.get("Environment", {}).get("Variables", {})
    }

    assert configured == {"SettleRunFunction"}


def test_the_verifier_and_the_service_use_the_same_types() -> None:
    """The command line verifies without importing the service, so it repeats these constants."""
    fields = Statement.model_fields
    assert get_args(fields["type"].annotation) == (service.STATEMENT_TYPE,)
    assert get_args(fields["predicate_type"].annotation) == (service.PREDICATE_TYPE,)
    assert verifier.PAYLOAD_TYPE == service.PAYLOAD_TYPE
    assert folder.BUNDLE_ARTIFACT == EVIDENCE_BUNDLE
