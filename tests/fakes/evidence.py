"""Evidence in memory, signed by a key of this process."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from taskrunner.ports.evidence import Signed
from tests.fakes.atomic import atomic

if TYPE_CHECKING:
    from taskrunner.model.run import Run
    from tests.fakes.artifacts import MemoryArtifacts


PRIVATE_KEY: Final = ec.generate_private_key(ec.SECP256R1())
_PUBLIC_KEY: Final = PRIVATE_KEY.public_key().public_bytes(
    Encoding.DER, PublicFormat.SubjectPublicKeyInfo
)


@dataclass
class MemoryEvidence:
    """Signs with the key of this process, with another signature each time.

    *signed* has the statements in their order. The artifacts have the files.
    """

    artifacts: MemoryArtifacts
    signed: list[bytes] = field(default_factory=list)

    @property
    def public_key(self) -> bytes:
        """The public key in PEM."""
        encoding, form = Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        return PRIVATE_KEY.public_key().public_bytes(encoding, form)

    def sign(self, statement: bytes) -> Signed:
        self.signed.append(statement)
        key_id = hashlib.sha256(_PUBLIC_KEY).hexdigest()
        payload_type = b"application/vnd.in-toto+json"
        encoded = b"DSSEv1 %d %b %d %b" % (
            len(payload_type),
            payload_type,
            len(statement),
            statement,
        )
        signature = PRIVATE_KEY.sign(encoded, ec.ECDSA(hashes.SHA256()))
        envelope = {
            "payload": b64encode(statement).decode(),
            "payloadType": payload_type.decode(),
            "signatures": [{"keyid": key_id, "sig": b64encode(signature).decode()}],
        }
        bundle = json.dumps(envelope, separators=(",", ":"), sort_keys=True).encode()
        return Signed(bundle, key_id, _PUBLIC_KEY)

    @atomic
    def store(self, run: Run, bundle: bytes) -> str:
        digest = hashlib.sha256(bundle).hexdigest()
        stored_path = f"runs/{run.run_id}/evidence/{digest}/{run.run_id}.evidence.json"
        self.artifacts.files[run.tenant, stored_path] = bundle
        return stored_path
