"""Evidence in memory, signed by a key of its own."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from taskrunner.ports.evidence import Signed
from tests.fakes.atomic import atomic

if TYPE_CHECKING:
    from taskrunner.model.run import Run
    from tests.fakes.artifacts import MemoryArtifacts


@dataclass
class MemoryEvidence:
    """Signs with a key of its own, with another signature each time.

    *signed* has the statements in their order. The artifacts have the files.
    """

    artifacts: MemoryArtifacts
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1()), repr=False
    )
    signed: list[bytes] = field(default_factory=list)

    @property
    def public_key(self) -> bytes:
        """The public key in PEM."""
        encoding, form = Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        return self.key.public_key().public_bytes(encoding, form)

    def sign(self, statement: bytes) -> Signed:
        self.signed.append(statement)
        form = PublicFormat.SubjectPublicKeyInfo
        public_key = self.key.public_key().public_bytes(Encoding.DER, form)
        key_id = hashlib.sha256(public_key).hexdigest()
        payload_type = b"application/vnd.in-toto+json"
        encoded = b"DSSEv1 %d %b %d %b" % (
            len(payload_type),
            payload_type,
            len(statement),
            statement,
        )
        signature = self.key.sign(encoded, ec.ECDSA(hashes.SHA256()))
        envelope = {
            "payload": b64encode(statement).decode(),
            "payloadType": payload_type.decode(),
            "signatures": [{"keyid": key_id, "sig": b64encode(signature).decode()}],
        }
        bundle = json.dumps(envelope, separators=(",", ":"), sort_keys=True).encode()
        return Signed(bundle, key_id, public_key)

    @atomic
    def store(self, run: Run, bundle: bytes) -> str:
        digest = hashlib.sha256(bundle).hexdigest()
        stored_path = f"runs/{run.run_id}/evidence/{digest}/{run.run_id}.evidence.json"
        self.artifacts.files[run.tenant, stored_path] = bundle
        return stored_path
