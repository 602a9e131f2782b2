"""Verifies a run's evidence offline: the bundle's signature, and the files that it is about.

It uses no service and none of the service's code, so that the service is not its own witness.
docs/evidence.md defines the checks.

Only a valid signature makes the statement trustworthy, so the checks that read the statement run
after it. The bundle must be in the one form that its content has: RFC 8785, around base64 without
unused bits. So every change of a byte makes a check fail.
"""

import hashlib
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import Signature, SSlibKey

from taskrunner_cli.errors import UsageError
from taskrunner_cli.evidence.canonical_json import CheckFailedError, canonical_json, parse_json
from taskrunner_cli.evidence.statement import (
    DIGEST_PREFIX,
    Artifact,
    Journal,
    Statement,
    read_statement,
)

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
_CHECKS: Final = ("envelope", "signature", "statement", "journal", "plan", "artifacts")


class Result(StrEnum):
    """The result of a check."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_GIVEN = "not given"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Check:
    """A check with its result and the details of it."""

    name: str
    result: Result
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """The files to compare with the statement; all of them are optional.

    Args:
        journal: the run's log in the bytes that the API serves.
        plan: the plan document, as JSON.
        plan_hash: the plan hash that was reviewed.
        artifacts: the SHA-256 of each artifact's file, in hexadecimal, by the artifact's name.

    """

    journal: bytes | None = None
    plan: bytes | None = None
    plan_hash: str | None = None
    artifacts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """All checks in their order, and the statement if its signature is valid.

    *document* is the JSON of *statement*, including members that no check reads.
    """

    checks: tuple[Check, ...]
    statement: Statement | None = None
    document: Mapping[str, Any] | None = None

    @property
    def failed(self) -> tuple[str, ...]:
        """The names of the checks that failed."""
        return tuple(check.name for check in self.checks if check.result is Result.FAILED)

    @property
    def holds(self) -> bool:
        """Whether no check failed."""
        return not self.failed


def read_key(pem: bytes, name: str) -> SSlibKey:
    """Return the public key in *pem*, with the key id that envelopes use; messages use *name*.

    Raises:
        UsageError: it is not a public key in PEM, or not one of the curve P-256.

    """
    cure = "docs/evidence.md says how to get the key; the local stack's is .local/evidence-key.pem"
    try:
        key = load_pem_public_key(pem)
    except ValueError as error:
        raise UsageError(f"{name} is not a public key in PEM", cure=cure) from error
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise UsageError(f"{name} is not a key of the curve P-256", cure=cure)
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return SSlibKey.from_crypto(key, keyid=hashlib.sha256(der).hexdigest())


def verify(bundle: bytes, key: SSlibKey, material: Material) -> Report:
    """Check *bundle* with the public *key*, and compare *material* with its statement."""
    return compare(check_bundle(bundle, key), material)


def check_bundle(bundle: bytes, key: SSlibKey) -> Report:
    """Return the report of *bundle* alone, which has a statement if every check passed."""
    checks: list[Check] = []
    try:
        envelope = _read_envelope(bundle)
        checks.append(
            Check("envelope", Result.PASSED, "DSSE with one signature, in canonical form")
        )
        _check_signature(envelope, key)
        checks.append(Check("signature", Result.PASSED, f"by the key {key.keyid}"))
        statement, document = read_statement(envelope.payload)
        checks.append(Check("statement", Result.PASSED, "in-toto v1, about a run"))
    except CheckFailedError as error:
        return _stopped(checks, str(error))
    return Report(tuple(checks), statement, document)


def compare(bundle: Report, material: Material) -> Report:
    """Add to the report of a *bundle* the checks of *material*, if its statement is signed."""
    if bundle.statement is None:
        return bundle
    predicate = bundle.statement.predicate
    checks = (
        *bundle.checks,
        _check_journal(predicate.journal, material.journal),
        _check_plan(predicate.plan_hash, material),
        *_check_artifacts(predicate.artifacts, material.artifacts),
    )
    return Report(checks, bundle.statement, bundle.document)


def _stopped(passed: list[Check], reason: str) -> Report:
    """Return the report of a bundle whose next check fails, and whose later ones make no sense."""
    failed, *not_checked = _CHECKS[len(passed) :]
    return Report(
        (
            *passed,
            Check(failed, Result.FAILED, reason),
            *(Check(name, Result.NOT_CHECKED) for name in not_checked),
        )
    )


def _read_envelope(bundle: bytes) -> Envelope:
    document = parse_json(bundle, "the file")
    try:
        envelope = Envelope.from_dict(document)  # type: ignore[arg-type] # errors are caught
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckFailedError("the file is not a DSSE envelope") from error
    if envelope.payload_type != PAYLOAD_TYPE:
        raise CheckFailedError(
            f"the payload's type is {envelope.payload_type!r}, not {PAYLOAD_TYPE!r}"
        )
    if len(envelope.signatures) != 1:
        raise CheckFailedError(f"the envelope has {len(envelope.signatures)} signatures, not one")
    (signature,) = envelope.signatures.values()
    if bundle != canonical_json(_envelope_document(envelope, signature), "the file"):
        raise CheckFailedError("the file is not in canonical form: something was added or changed")
    return envelope


def _envelope_document(envelope: Envelope, signature: Signature) -> Mapping[str, object]:
    """Return the document that *envelope* must have been read from."""
    encoded = b64encode(bytes.fromhex(signature.signature)).decode()
    return {
        "payload": b64encode(envelope.payload).decode(),
        "payloadType": envelope.payload_type,
        "signatures": [{"keyid": signature.keyid, "sig": encoded}],
    }


def _check_signature(envelope: Envelope, key: SSlibKey) -> None:
    (signature,) = envelope.signatures.values()
    if signature.keyid != key.keyid:
        raise CheckFailedError(
            f"the envelope names the key {signature.keyid}, the given key is {key.keyid}"
        )
    try:
        envelope.verify([key], threshold=1)
    except VerificationError as error:
        raise CheckFailedError(f"the key {key.keyid} did not sign this statement") from error


def _check_journal(signed: Journal, journal: bytes | None) -> Check:
    if journal is None:
        return Check("journal", Result.NOT_GIVEN)
    lines = journal.split(b"\n")[:-1]  # without the text after the last line end
    if len(lines) < signed.lines:
        detail = f"the log has {len(lines)} lines, but {signed.lines} are signed"
        return Check("journal", Result.FAILED, detail)
    covered = b"".join(line + b"\n" for line in lines[: signed.lines])
    if hashlib.sha256(covered).hexdigest() != signed.sha256:
        detail = f"the first {signed.lines} lines are not those signed"
        return Check("journal", Result.FAILED, detail)
    later = len(lines) - signed.lines + (not journal.endswith(b"\n") and journal != b"")
    uncovered = f"; {later} after the end are not covered" if later else ""
    return Check("journal", Result.PASSED, f"{signed.lines} lines{uncovered}")


def _check_plan(signed_hash: str, material: Material) -> Check:
    if material.plan is None and material.plan_hash is None:
        return Check("plan", Result.NOT_GIVEN, signed_hash)
    hashes = [material.plan_hash] if material.plan_hash is not None else []
    if material.plan is not None:
        try:
            document = canonical_json(parse_json(material.plan, "the plan"), "the plan")
        except CheckFailedError as error:
            return Check("plan", Result.FAILED, str(error))
        hashes.append(DIGEST_PREFIX + hashlib.sha256(document).hexdigest())
    for plan_hash in hashes:
        if plan_hash != signed_hash:
            detail = f"given is {plan_hash}, signed is {signed_hash}"
            return Check("plan", Result.FAILED, detail)
    return Check("plan", Result.PASSED, signed_hash)


def _check_artifacts(signed: list[Artifact], given: Mapping[str, str]) -> Iterator[Check]:
    digests = {
        artifact.name: artifact.sha256 for artifact in signed if artifact.status == "captured"
    }
    for name in sorted(digests.keys() | given.keys()):
        check = f"artifact {name}"
        if name not in given:
            yield Check(check, Result.NOT_GIVEN)
        elif name not in digests:
            detail = "the statement has no captured artifact of this name"
            yield Check(check, Result.FAILED, detail)
        elif given[name] != digests[name]:
            detail = f"given is sha256 {given[name]}, signed is {digests[name]}"
            yield Check(check, Result.FAILED, detail)
        else:
            yield Check(check, Result.PASSED, f"sha256 {given[name]}")
