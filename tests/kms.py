"""A key in moto's KMS that signs digests. moto 5.2 itself hashes every message, even a digest."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.kms.models import kms_backends


def signing_key(kms: Any) -> str:  # noqa: ANN401 - boto3 has no static types
    """Create a key like the template's in moto, and return its ARN."""
    key = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
    backend: Any = kms_backends[DEFAULT_ACCOUNT_ID][kms.meta.region_name]

    def sign(key_id: str, message: bytes, signing_algorithm: str) -> tuple[str, bytes, str]:
        stored = backend.describe_key(key_id)
        private: ec.EllipticCurvePrivateKey = stored.private_key.private_key
        signature = private.sign(message, ec.ECDSA(Prehashed(hashes.SHA256())))
        return stored.arn, signature, signing_algorithm

    backend.sign = sign
    arn: str = key["Arn"]
    return arn
