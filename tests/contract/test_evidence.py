"""The port Evidence, and the sealing of a run with a bundle."""

from __future__ import annotations

import json
from base64 import b64decode
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from taskrunner.model.artifact import Artifact, ArtifactStatus, ArtifactType
from taskrunner.model.run import RunStatus
from tests.contract.samples import ENDED, a_run, new_run

if TYPE_CHECKING:
    from taskrunner.model.run import Run
    from tests.contract.ports import Ports

# KMS takes messages of at most 4096 bytes; this one is longer.
STATEMENT = json.dumps({"_type": "a statement", "filling": "é" * 5000}).encode()


def public_key(world: Ports) -> ec.EllipticCurvePublicKey:
    key = serialization.load_pem_public_key(world.evidence_public_key())
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def verification_key(world: Ports) -> SSlibKey:
    """Return the public key with the id that bundles have."""
    der = public_key(world).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return SSlibKey.from_crypto(public_key(world), keyid=sha256(der).hexdigest())


def a_bundle(**changes: Any) -> Artifact:  # noqa: ANN401 - any field
    fields = {
        "name": "evidence-bundle",
        "type": ArtifactType.OBJECT,
        "status": ArtifactStatus.CAPTURED,
        "stored_path": "runs/run-1/evidence/ab/run-1.evidence.json",
        "sha256": "ab",
    }
    return Artifact(**(fields | changes))


def ended_run(world: Ports) -> Run:
    snapshot = new_run(world)
    world.runs.end(snapshot, RunStatus.SUCCEEDED, [ENDED])
    return snapshot.run


class TestSign:
    def test_the_bundle_is_an_envelope_signed_by_the_key(self, world: Ports) -> None:
        signed = world.evidence.sign(STATEMENT)

        envelope = Envelope.from_dict(json.loads(signed.bundle))
        key = verification_key(world)
        assert (envelope.payload, envelope.payload_type) == (
            STATEMENT,
            "application/vnd.in-toto+json",
        )
        assert envelope.verify([key], threshold=1) == {signed.key_id: key}
        assert load_der_public_key(signed.public_key) == public_key(world)
        assert sha256(signed.public_key).hexdigest() == signed.key_id

    def test_the_signature_is_invalid_for_another_statement(self, world: Ports) -> None:
        envelope = Envelope.from_dict(json.loads(world.evidence.sign(STATEMENT).bundle))
        envelope.payload = STATEMENT + b" "

        with pytest.raises(VerificationError):
            envelope.verify([verification_key(world)], threshold=1)

    def test_the_signature_covers_the_encoding_of_dsse(self, world: Ports) -> None:
        """Verify by https://github.com/secure-systems-lab/dsse/blob/master/protocol.md alone."""
        signature = json.loads(world.evidence.sign(b"{}").bundle)["signatures"][0]["sig"]

        encoded = b"DSSEv1 28 application/vnd.in-toto+json 2 {}"
        public_key(world).verify(b64decode(signature), encoded, ec.ECDSA(hashes.SHA256()))

    def test_the_bundle_is_canonical_json(self, world: Ports) -> None:
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

    def test_a_bundle_can_be_downloaded(self, world: Ports) -> None:
        path = world.evidence.store(a_run("run-1"), b"{}")

        url = world.artifacts.download_url("acme", a_bundle(stored_path=path))

        assert f"acme/{path}" in url


class TestSeal:
    def test_lists_the_bundle_and_seals_the_run(self, world: Ports) -> None:
        run = ended_run(world)
        before = world.runs.snapshot(run.tenant, run.run_id).run

        assert world.runs.seal(run, a_bundle()) is True

        after = world.runs.snapshot(run.tenant, run.run_id).run
        assert (before.sealed, after.sealed) == (False, True)
        assert world.artifacts.list(run.tenant, run.run_id) == [a_bundle()]

    def test_keeps_the_first_bundle(self, world: Ports) -> None:
        run = ended_run(world)
        world.runs.seal(run, a_bundle())

        assert world.runs.seal(run, a_bundle(sha256="cd")) is False

        assert world.artifacts.list(run.tenant, run.run_id) == [a_bundle()]

    def test_refuses_a_run_that_has_not_ended(self, world: Ports) -> None:
        run = new_run(world).run

        assert world.runs.seal(run, a_bundle()) is False

        assert world.artifacts.list(run.tenant, run.run_id) == []
        assert not world.runs.snapshot(run.tenant, run.run_id).run.sealed

    def test_an_ended_but_unsealed_run_does_not_count_as_unfinished(self, world: Ports) -> None:
        run = new_run(world, a_run(tenant="sealing")).run
        counts = [world.runs.count_unfinished("sealing", run.pack_name, 10)]

        world.runs.end(world.runs.snapshot("sealing", run.run_id), RunStatus.FAILED, [ENDED])
        counts.append(world.runs.count_unfinished("sealing", run.pack_name, 10))

        assert counts == [1, 0]
