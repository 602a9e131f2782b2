"""The port Evidence: signatures by a KMS key that never leaves AWS, bundles in the bucket.

A bundle is a DSSE envelope. DSSE is a dozen lines here, because securesystemslib, which verifiers
use, imports cryptography and boto3: half of a cold start of `settle_run`, which computes nothing
with a key. KMS takes messages of up to 4096 bytes, so it gets the digest; the signature is the
same.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from functools import cached_property
from typing import TYPE_CHECKING, Any

from taskrunner.adapters.aws_errors import translated
from taskrunner.model.canonical_json import canonical_bytes
from taskrunner.model.evidence import MEDIA_TYPE, PAYLOAD_TYPE
from taskrunner.ports.evidence import Signed

if TYPE_CHECKING:
    from taskrunner.adapters.bucket import Bucket
    from taskrunner.adapters.retention import Retention
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import Run


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that are signed: PAE, in "Signature Definition" of DSSE v1."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


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
        signed = pre_authentication_encoding(PAYLOAD_TYPE, statement)
        with translated("sign evidence"):
            response = self._client.sign(
                KeyId=self._key_arn,
                Message=hashlib.sha256(signed).digest(),
                MessageType="DIGEST",
                SigningAlgorithm="ECDSA_SHA_256",
            )
        key_id = hashlib.sha256(self._public_key).hexdigest()
        envelope: JsonObject = {
            "payload": b64encode(statement).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"keyid": key_id, "sig": b64encode(response["Signature"]).decode()}],
        }
        return Signed(canonical_bytes(envelope), key_id, self._public_key)

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
