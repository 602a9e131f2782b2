"""Evidence on AWS alone: the reconciler's index, and the calls and errors of KMS."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from botocore.exceptions import ClientError

from taskrunner.adapters.bucket import Bucket
from taskrunner.adapters.evidence import KmsEvidence
from taskrunner.errors import TryAgainError
from taskrunner.model.artifact import Artifact, ArtifactStatus, ArtifactType
from taskrunner.model.run import RunStatus
from tests.contract.ports import BUCKET, RETENTION, TABLE, aws, client, moto
from tests.contract.samples import CANCELLED, new_run
from tests.kms import signing_key

STATEMENT = b"{}"
BUNDLE = Artifact(name="evidence-bundle", type=ArtifactType.OBJECT, status=ArtifactStatus.CAPTURED)


def test_the_reconciler_finds_a_run_until_it_is_sealed() -> None:
    def scan() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = client("dynamodb").scan(
            TableName=TABLE, IndexName="unfinished-runs", ProjectionExpression="run_id, outcome"
        )["Items"]
        return items

    with moto():
        world = aws()
        snapshot = new_run(world)
        scans = [scan()]
        world.runs.end(snapshot, RunStatus.CANCELLED, [CANCELLED])
        scans.append(scan())
        world.runs.seal(snapshot.run, BUNDLE)
        scans.append(scan())

    item = {"run_id": {"S": snapshot.run.run_id}}
    assert scans == [[item], [item | {"outcome": {"S": "cancelled"}}], []]


class FailingKms:
    """A KMS client whose signing fails with one error code."""

    def __init__(self, code: str) -> None:
        self.code = code

    def sign(self, **_: object) -> None:
        raise ClientError({"Error": {"Code": self.code, "Message": "no"}}, "Sign")


@pytest.mark.parametrize("code", ["ThrottlingException", "KMSInternalException"])
def test_asks_the_caller_to_try_again_when_kms_is_busy(code: str) -> None:
    evidence = KmsEvidence(FailingKms(code), "arn", Bucket(None, BUCKET), RETENTION)

    with pytest.raises(TryAgainError, match=f"AWS could not sign evidence now: {code}"):
        evidence.sign(STATEMENT)


def test_a_missing_permission_looks_like_a_bug() -> None:
    evidence = KmsEvidence(
        FailingKms("AccessDeniedException"), "arn", Bucket(None, BUCKET), RETENTION
    )

    with pytest.raises(ClientError):
        evidence.sign(STATEMENT)


def test_signs_a_digest_and_reads_the_public_key_once() -> None:
    """KMS takes messages of at most 4096 bytes, but the digest of any."""
    with moto():
        kms = client("kms")
        calls: list[tuple[str, dict[str, Any]]] = []
        kms.meta.events.register(
            "provide-client-params.kms",
            lambda model, params, **_: calls.append((model.name, params)),
        )
        key_arn = signing_key(client("kms"))
        evidence = KmsEvidence(kms, key_arn, Bucket(client("s3"), BUCKET), RETENTION)
        for _ in range(2):
            evidence.sign(STATEMENT)

    sign = {
        "KeyId": key_arn,
        "Message": sha256(b"DSSEv1 28 application/vnd.in-toto+json 2 {}").digest(),
        "MessageType": "DIGEST",
        "SigningAlgorithm": "ECDSA_SHA_256",
    }
    assert calls == [("Sign", sign), ("GetPublicKey", {"KeyId": key_arn}), ("Sign", sign)]
