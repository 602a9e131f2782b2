"""Evidence: signed by a KMS key that never leaves AWS, kept in the bucket.

The envelope is securesystemslib's, the library of in-toto itself. Its signer for KMS is not used:
it makes a client of its own, without our timeouts. KMS takes messages of up to 4096 bytes, so what
is sent is the digest, and what comes back is the same signature.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING, Any

import rfc8785
from securesystemslib.dsse import Envelope
from securesystemslib.signer import Signature

from taskrunner.adapters.aws_errors import translated
from taskrunner.model.evidence import MEDIA_TYPE, PAYLOAD_TYPE
from taskrunner.ports.evidence import Signed

if TYPE_CHECKING:
    from taskrunner.adapters.bucket import Bucket
    from taskrunner.adapters.retention import Retention
    from taskrunner.model.run import Run


class KmsEvidence:
    """`usecases.ports.Evidence` over KMS and the bucket; *client* is boto3's for KMS."""

    def __init__(
        self,
        client: Any,  # noqa: ANN401 - boto3 has no static types
        key_arn: str,
        bucket: Bucket,
        retention: Retention,
    ) -> None:
        """Hold the clients; nothing is called yet."""
        self._client = client
        self._key_arn = key_arn
        self._bucket = bucket
        self._retention = retention

    def sign(self, statement: bytes) -> Signed:
        """See the port. A DSSE envelope with one signature, in the form of RFC 8785."""
        envelope = Envelope(statement, PAYLOAD_TYPE, {})
        with translated("sign evidence"):
            answer = self._client.sign(
                KeyId=self._key_arn,
                Message=hashlib.sha256(envelope.pae()).digest(),
                MessageType="DIGEST",
                SigningAlgorithm="ECDSA_SHA_256",
            )
        envelope.signatures[self._key_id] = Signature(self._key_id, answer["Signature"].hex())
        return Signed(rfc8785.dumps(envelope.to_dict()), self._key_id)

    @cached_property
    def _key_id(self) -> str:
        """The SHA-256 of the public key in DER, so that whoever has the key can tell its id."""
        with translated("read the public key of evidence"):
            answer = self._client.get_public_key(KeyId=self._key_arn)
        return hashlib.sha256(answer["PublicKey"]).hexdigest()

    def store(self, run: Run, bundle: bytes) -> str:
        """See the port."""
        digest = hashlib.sha256(bundle).hexdigest()
        stored_path = f"runs/{run.run_id}/evidence/{digest}/{run.run_id}.evidence.json"
        tag = self._retention.tag(run.longest_s)
        self._bucket.put(f"{run.tenant}/{stored_path}", bundle, MEDIA_TYPE, tag)
        return stored_path
