"""The port Evidence: signatures by a KMS key that never leaves AWS, bundles in the bucket.

The envelope is from securesystemslib, in-toto's own library. Its KMS signer is not used, because it
makes a client without our timeouts. KMS takes messages of up to 4096 bytes, so it gets the digest;
the signature is the same.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING, Any

from securesystemslib.dsse import Envelope
from securesystemslib.signer import Signature

from taskrunner.adapters.aws_errors import translated
from taskrunner.model.canonical_json import canonical_bytes
from taskrunner.model.evidence import MEDIA_TYPE, PAYLOAD_TYPE
from taskrunner.ports.evidence import Signed

if TYPE_CHECKING:
    from taskrunner.adapters.bucket import Bucket
    from taskrunner.adapters.retention import Retention
    from taskrunner.model.run import Run


class KmsEvidence:
    """`ports.Evidence` over KMS and the bucket; *client* is boto3's for KMS."""

    def __init__(
        self,
        client: Any,  # noqa: ANN401 - boto3 has no static types
        key_arn: str,
        bucket: Bucket,
        retention: Retention,
    ) -> None:
        """Call nothing yet."""
        self._client = client
        self._key_arn = key_arn
        self._bucket = bucket
        self._retention = retention

    def sign(self, statement: bytes) -> Signed:
        """See the port. The bundle is a DSSE envelope with one signature, in RFC 8785 form."""
        envelope = Envelope(statement, PAYLOAD_TYPE, {})
        with translated("sign evidence"):
            response = self._client.sign(
                KeyId=self._key_arn,
                Message=hashlib.sha256(envelope.pae()).digest(),
                MessageType="DIGEST",
                SigningAlgorithm="ECDSA_SHA_256",
            )
        key_id = hashlib.sha256(self._public_key).hexdigest()
        envelope.signatures[key_id] = Signature(key_id, response["Signature"].hex())
        return Signed(canonical_bytes(envelope.to_dict()), key_id, self._public_key)

    @cached_property
    def _public_key(self) -> bytes:
        with translated("read the public key of evidence"):
            response = self._client.get_public_key(KeyId=self._key_arn)
        public_key: bytes = response["PublicKey"]
        return public_key

    def store(self, run: Run, bundle: bytes) -> str:
        """See the port."""
        digest = hashlib.sha256(bundle).hexdigest()
        stored_path = f"runs/{run.run_id}/evidence/{digest}/{run.run_id}.evidence.json"
        tag = self._retention.tag(run.longest_s)
        self._bucket.put(f"{run.tenant}/{stored_path}", bundle, MEDIA_TYPE, tag)
        return stored_path
