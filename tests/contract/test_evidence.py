"""The port Evidence, and how a bundle is recorded: signed, kept by its digest, once."""

from __future__ import annotations

import json
from base64 import b64decode
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from taskrunner.adapters.evidence import KmsEvidence
from taskrunner.model.artifact import Artifact, ArtifactStatus, ArtifactType
from taskrunner.model.journal import Event
from taskrunner.model.run import RunStatus
from tests.contract.ports import CREATED, a_run, an_entry, client
from tests.fakes.evidence import MemoryEvidence

if TYPE_CHECKING:
    from taskrunner.model.run import Run
    from taskrunner.ports import Evidence
    from tests.contract.ports import Ports

# Longer than the 4096 bytes that KMS takes as a message.
STATEMENT = json.dumps({"_type": "a statement", "filling": "é" * 5000}).encode()
ENDED = an_entry("run.ended", Event.RUN_COMPLETED)


def public_key(evidence: Evidence) -> SSlibKey:
    """The key of the port's world, by the id that bundles have."""
    if isinstance(evidence, MemoryEvidence):
        pem = evidence.public_key
        der = serialization.load_pem_public_key(pem).public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    else:
        assert isinstance(evidence, KmsEvidence)
        der = client("kms").get_public_key(KeyId=evidence._key_arn)["PublicKey"]
    return SSlibKey.from_crypto(
        serialization.load_der_public_key(der), keyid=sha256(der).hexdigest()
    )


def a_bundle(**changes: Any) -> Artifact:  # noqa: ANN401 - any field
    given = {
        "name": "evidence-bundle",
        "type": ArtifactType.OBJECT,
        "status": ArtifactStatus.CAPTURED,
        "stored_path": "runs/run-1/evidence/ab/run-1.evidence.json",
        "sha256": "ab",
    }
    return Artifact(**(given | changes))


def ended(world: Ports) -> Run:
    run = a_run()
    world.runs.create(run, [CREATED])
    world.runs.end(world.runs.head(run.tenant, run.run_id), RunStatus.SUCCEEDED, [ENDED])
    return run


class TestSign:
    def test_the_bundle_is_an_envelope_that_the_key_signed(self, world: Ports) -> None:
        signed = world.evidence.sign(STATEMENT)

        envelope = Envelope.from_dict(json.loads(signed.bundle))
        key = public_key(world.evidence)
        assert (envelope.payload, envelope.payload_type) == (
            STATEMENT,
            "application/vnd.in-toto+json",
        )
        assert envelope.verify([key], threshold=1) == {signed.key_id: key}

    def test_of_another_statement_the_signature_does_not_hold(self, world: Ports) -> None:
        envelope = Envelope.from_dict(json.loads(world.evidence.sign(STATEMENT).bundle))
        envelope.payload = STATEMENT + b" "

        with pytest.raises(VerificationError):
            envelope.verify([public_key(world.evidence)], threshold=1)

    def test_the_signature_is_over_the_encoding_that_dsse_defines(self, world: Ports) -> None:
        """https://github.com/secure-systems-lab/dsse/blob/master/protocol.md, without a library."""
        signature = json.loads(world.evidence.sign(b"{}").bundle)["signatures"][0]["sig"]

        key = public_key(world.evidence)._crypto_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        encoded = b"DSSEv1 28 application/vnd.in-toto+json 2 {}"
        key.verify(b64decode(signature), encoded, ec.ECDSA(hashes.SHA256()))

    def test_the_bundle_has_one_form(self, world: Ports) -> None:
        bundle = world.evidence.sign(STATEMENT).bundle

        document = json.loads(bundle)
        assert list(document) == ["payload", "payloadType", "signatures"]
        assert json.dumps(document, separators=(",", ":"), sort_keys=True).encode() == bundle


class TestStore:
    def test_bundles_of_one_run_do_not_replace_each_other(self, world: Ports) -> None:
        paths = [world.evidence.store(a_run("run-1"), content) for content in (b"1", b"2", b"1")]

        assert paths[0] == paths[2] != paths[1]
        digest = sha256(b"1").hexdigest()
        assert paths[0] == f"runs/run-1/evidence/{digest}/run-1.evidence.json"

    def test_it_can_be_downloaded_under_the_runs_name(self, world: Ports) -> None:
        path = world.evidence.store(a_run("run-1"), b"{}")

        url = world.artifacts.download_url("acme", a_bundle(stored_path=path))

        assert f"acme/{path}" in url


class TestSeal:
    def test_it_lists_the_bundle_and_seals_the_run(self, world: Ports) -> None:
        run = ended(world)
        before = world.runs.head(run.tenant, run.run_id).run

        assert world.runs.seal(run, a_bundle()) is True

        after = world.runs.head(run.tenant, run.run_id).run
        assert (before.sealed, after.sealed) == (False, True)
        assert world.artifacts.list(run.tenant, run.run_id) == [a_bundle()]

    def test_the_first_bundle_stays(self, world: Ports) -> None:
        run = ended(world)
        world.runs.seal(run, a_bundle())

        assert world.runs.seal(run, a_bundle(sha256="cd")) is False

        assert world.artifacts.list(run.tenant, run.run_id) == [a_bundle()]

    def test_a_run_that_has_not_ended_is_not_sealed(self, world: Ports) -> None:
        run = a_run()
        world.runs.create(run, [CREATED])

        assert world.runs.seal(run, a_bundle()) is False

        assert world.artifacts.list(run.tenant, run.run_id) == []
        assert not world.runs.head(run.tenant, run.run_id).run.sealed

    def test_an_ended_run_is_not_counted_as_unfinished_before_it_is_sealed(
        self, world: Ports
    ) -> None:
        run = a_run(tenant="sealing")
        world.runs.create(run, [CREATED])
        counts = [world.runs.count_unfinished("sealing", run.pack_name, 10)]

        world.runs.end(world.runs.head("sealing", run.run_id), RunStatus.FAILED, [ENDED])
        counts.append(world.runs.count_unfinished("sealing", run.pack_name, 10))

        assert counts == [1, 0]
