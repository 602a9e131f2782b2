"""Verifies a run's evidence offline: an envelope, a public key, and what the statement speaks of.

Nothing here asks the service, and nothing of its code is used: what is verified should not verify
itself. docs/evidence.md defines what is checked.

Each check that needs the statement waits for the signature: of an envelope that nobody signed
nothing can be said. The file must be in the one form that its content has (RFC 8785 around base64
without slack), so that no byte of it can be changed without a check noticing.
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

from taskrunner_cli.errors import UsageMistakeError
from taskrunner_cli.evidence.statement import (
    DIGEST_PREFIX,
    FailedError,
    canonical,
    parsed,
    read_statement,
)

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"


class Result(StrEnum):
    """What became of a check."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_GIVEN = "not given"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Check:
    """One check by its name, and in words what was found."""

    name: str
    result: Result
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What there is to hold against the statement; artifacts are SHA-256 in hex, by name."""

    journal: bytes | None = None
    plan: bytes | None = None
    plan_hash: str | None = None
    artifacts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """All checks in their order, and the statement when its signature holds."""

    checks: tuple[Check, ...]
    statement: Mapping[str, Any] | None = None

    @property
    def failed(self) -> tuple[str, ...]:
        """The names of the checks that failed."""
        return tuple(one.name for one in self.checks if one.result is Result.FAILED)


def read_key(pem: bytes, name: str) -> SSlibKey:
    """Return the public key in *pem*, with the id by which envelopes name it.

    Raises:
        UsageMistakeError: it is no public key in PEM, or none of the curve that signs evidence;
            *name* says where it was read.

    """
    cure = "docs/evidence.md says how to get the key; the local stack's is .local/evidence-key.pem"
    try:
        key = load_pem_public_key(pem)
    except ValueError as error:
        raise UsageMistakeError(f"{name} is no public key in PEM", cure=cure) from error
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise UsageMistakeError(f"{name} is no key of the curve P-256", cure=cure)
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return SSlibKey.from_crypto(key, keyid=hashlib.sha256(der).hexdigest())


def verify(bundle: bytes, key: SSlibKey, given: Given) -> Report:
    """Check *bundle* and whatever is *given* beside it."""
    checks: list[Check] = []
    try:
        envelope = _envelope(bundle)
        checks.append(Check("envelope", Result.PASSED, "one signature, every byte accounted for"))
    except FailedError as failure:
        return _stopped([Check("envelope", Result.FAILED, str(failure))])
    try:
        _check_signature(envelope, key)
        checks.append(Check("signature", Result.PASSED, f"by the key {key.keyid}"))
    except FailedError as failure:
        return _stopped([*checks, Check("signature", Result.FAILED, str(failure))])
    try:
        statement = read_statement(envelope.payload)
        checks.append(Check("statement", Result.PASSED, "in-toto v1, about a run"))
    except FailedError as failure:
        return _stopped([*checks, Check("statement", Result.FAILED, str(failure))])
    predicate = statement["predicate"]
    checks.append(_journal(predicate["journal"], given.journal))
    checks.append(_plan(predicate["planHash"], given))
    checks += _artifacts(predicate["artifacts"], given.artifacts)
    return Report(tuple(checks), statement)


def _stopped(checks: list[Check]) -> Report:
    """A report that ends early: what comes later would be held against words of anybody."""
    names = ("envelope", "signature", "statement", "journal", "plan", "artifacts")
    rest = (Check(name, Result.NOT_CHECKED) for name in names[len(checks) :])
    return Report((*checks, *rest))


def _envelope(bundle: bytes) -> Envelope:
    document = parsed(bundle, "the file")
    try:
        envelope = Envelope.from_dict(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FailedError(f"the file is no DSSE envelope: {error!r}") from error
    if envelope.payload_type != PAYLOAD_TYPE:
        raise FailedError(f"its payload is {envelope.payload_type!r}, not {PAYLOAD_TYPE!r}")
    if len(envelope.signatures) != 1:
        raise FailedError(f"it has {len(envelope.signatures)} signatures, not one")
    (signature,) = envelope.signatures.values()
    if bundle != canonical(_made_anew(envelope, signature), "the file"):
        raise FailedError("the file is not in its one form: something was added, moved or respelt")
    return envelope


def _made_anew(envelope: Envelope, signature: Signature) -> Mapping[str, Any]:
    """The document that an envelope of exactly this content is."""
    sig = b64encode(bytes.fromhex(signature.signature)).decode()
    return {
        "payload": b64encode(envelope.payload).decode(),
        "payloadType": envelope.payload_type,
        "signatures": [{"keyid": signature.keyid, "sig": sig}],
    }


def _check_signature(envelope: Envelope, key: SSlibKey) -> None:
    (signature,) = envelope.signatures.values()
    if signature.keyid != key.keyid:
        raise FailedError(f"it names the key {signature.keyid}; the given one is {key.keyid}")
    try:
        envelope.verify([key], threshold=1)
    except VerificationError as error:
        raise FailedError(f"the key {key.keyid} did not sign this statement") from error


def _journal(stated: Mapping[str, Any], journal: bytes | None) -> Check:
    if journal is None:
        return Check("journal", Result.NOT_GIVEN)
    lines = journal.split(b"\n")[:-1]  # what follows the last line end is no line
    count = stated["lines"]
    if len(lines) < count:
        return Check("journal", Result.FAILED, f"{len(lines)} lines, but {count} are covered")
    covered = b"".join(line + b"\n" for line in lines[:count])
    if hashlib.sha256(covered).hexdigest() != stated["sha256"]:
        return Check("journal", Result.FAILED, f"the first {count} lines are not those signed")
    later = len(lines) - count + (not journal.endswith(b"\n") and journal != b"")
    unsaid = f"; {later} after the end are not covered" if later else ""
    return Check("journal", Result.PASSED, f"{count} lines{unsaid}")


def _plan(stated: str, given: Given) -> Check:
    if given.plan is None and given.plan_hash is None:
        return Check("plan", Result.NOT_GIVEN, stated)
    found = [given.plan_hash] if given.plan_hash is not None else []
    if given.plan is not None:
        try:
            document = canonical(parsed(given.plan, "the plan"), "the plan")
        except FailedError as error:
            return Check("plan", Result.FAILED, str(error))
        found.append(DIGEST_PREFIX + hashlib.sha256(document).hexdigest())
    for one in found:
        if one != stated:
            return Check("plan", Result.FAILED, f"given is {one}, signed is {stated}")
    return Check("plan", Result.PASSED, stated)


def _artifacts(stated: list[Mapping[str, Any]], given: Mapping[str, str]) -> Iterator[Check]:
    digests = {one["name"]: one.get("sha256", "") for one in stated if one["status"] == "captured"}
    for name in sorted(digests.keys() | given.keys()):
        check = f"artifact {name}"
        if name not in given:
            yield Check(check, Result.NOT_GIVEN)
        elif name not in digests:
            yield Check(check, Result.FAILED, "the statement has no such captured artifact")
        elif given[name] != digests[name]:
            detail = f"given is sha256 {given[name]}, signed is {digests[name]}"
            yield Check(check, Result.FAILED, detail)
        else:
            yield Check(check, Result.PASSED, f"sha256 {given[name]}")
