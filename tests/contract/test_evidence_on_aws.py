"""What the adapters of evidence do on AWS that a fake has no part in: the index, KMS's refusals."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from botocore.exceptions import ClientError

from taskrunner.adapters.bucket import Bucket
from taskrunner.adapters.evidence import KmsEvidence
from taskrunner.errors import TryAgainError
from taskrunner.model.artifact import Artifact, ArtifactStatus, ArtifactType
from taskrunner.model.journal import Event
from taskrunner.model.run import RunStatus
from tests.contract.ports import (
    BUCKET,
    CREATED,
    RETENTION,
    TABLE,
    a_run,
    an_entry,
    aws,
    client,
    moto,
)
from tests.kms import signing_key

STATEMENT = b"{}"
ENDED = an_entry("run.ended", Event.RUN_COMPLETED)
BUNDLE = Artifact(name="evidence-bundle", type=ArtifactType.OBJECT, status=ArtifactStatus.CAPTURED)


def test_the_reconciler_finds_a_run_until_it_is_sealed() -> None:
    def scanned() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = client("dynamodb").scan(
            TableName=TABLE, IndexName="unfinished-runs", ProjectionExpression="run_id, outcome"
        )["Items"]
        return items

    with moto():
        world, run = aws(), a_run()
        world.runs.create(run, [CREATED])
        found = [scanned()]
        world.runs.end(world.runs.head(run.tenant, run.run_id), RunStatus.CANCELLED, [ENDED])
        found.append(scanned())
        world.runs.seal(run, BUNDLE)
        found.append(scanned())

    own = {"run_id": {"S": run.run_id}}
    assert found == [[own], [own | {"outcome": {"S": "cancelled"}}], []]


class Refusing:
    """KMS, when it refuses with one code."""

    def __init__(self, code: str) -> None:
        self.code = code

    def sign(self, **_: object) -> None:
        raise ClientError({"Error": {"Code": self.code, "Message": "no"}}, "Sign")


@pytest.mark.parametrize("code", ["ThrottlingException", "KMSInternalException"])
def test_a_key_that_cannot_sign_now_may_be_asked_again(code: str) -> None:
    evidence = KmsEvidence(Refusing(code), "arn", Bucket(None, BUCKET), RETENTION)

    with pytest.raises(TryAgainError, match=f"AWS could not sign evidence now: {code}"):
        evidence.sign(STATEMENT)


def test_a_key_that_may_not_sign_looks_like_the_mistake_that_it_is() -> None:
    evidence = KmsEvidence(
        Refusing("AccessDeniedException"), "arn", Bucket(None, BUCKET), RETENTION
    )

    with pytest.raises(ClientError):
        evidence.sign(STATEMENT)


def test_what_is_signed_is_a_digest_and_the_public_key_is_asked_for_once() -> None:
    """KMS takes at most 4096 bytes of a message, and a digest of one of any length."""
    with moto():
        kms = client("kms")
        asked: list[tuple[str, dict[str, Any]]] = []
        kms.meta.events.register(
            "provide-client-params.kms",
            lambda model, params, **_: asked.append((model.name, params)),
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
    assert asked == [("Sign", sign), ("GetPublicKey", {"KeyId": key_arn}), ("Sign", sign)]
