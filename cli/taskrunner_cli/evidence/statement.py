"""The statement that evidence signs: what must be in it, and that its parts agree."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import rfc8785
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

DIGEST_PREFIX: Final = "sha256:"


class FailedError(Exception):
    """Why a check fails, in words."""


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, alias_generator=to_camel)


class _Run(_Model):
    id: str
    tenant: str
    outcome: str
    created_by: str
    created_at: str
    ended_at: str


class _Pack(_Model):
    name: str
    version: str


class _Journal(_Model):
    lines: Annotated[int, Field(gt=0)]
    sha256: str


class _Artifact(_Model):
    name: str
    status: str
    sha256: str = ""


class _Predicate(_Model):
    run: _Run
    pack: _Pack
    plan_hash: str
    journal: _Journal
    artifacts: list[_Artifact]


class Statement(_Model):
    """What must be there for the checks to have something to check; more may be."""

    type: Annotated[Literal["https://in-toto.io/Statement/v1"], Field(alias="_type")]
    subject: list[dict[str, Any]]
    predicate_type: Literal["https://stellaops.io/attestations/task-run/v1"]
    predicate: _Predicate


def read_statement(payload: bytes) -> Mapping[str, Any]:
    """Return the statement in *payload*, which may be relied on to have what the models say.

    Raises:
        FailedError: it is of another kind or form, or its parts contradict each other.

    """
    statement = parsed(payload, "the statement")
    if payload != canonical(statement, "the statement"):
        raise FailedError("it is not in its canonical form (RFC 8785)")
    try:
        Statement.model_validate(statement)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise FailedError(f"{place}: {first['msg']}, but is {first['input']!r:.80}") from error
    if statement["subject"] != _subjects(statement["predicate"]):
        raise FailedError("its subjects are not those that its predicate speaks of")
    return dict(statement)


def _subjects(predicate: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The subjects of a statement with this predicate."""
    digests = {
        "plan": predicate["planHash"].removeprefix(DIGEST_PREFIX),
        "journal": predicate["journal"]["sha256"],
    }
    for one in predicate["artifacts"]:
        if one["status"] == "captured":
            digests[f"artifacts/{one['name']}"] = one.get("sha256", "")
    return [{"name": name, "digest": {"sha256": digest}} for name, digest in digests.items()]


def parsed(content: bytes, what: str) -> Any:  # noqa: ANN401 -- any JSON
    """Return the JSON in *content*; FailedError when there is none."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise FailedError(f"{what} is no JSON: {error}") from error


def canonical(document: Any, what: str) -> bytes:  # noqa: ANN401 -- any JSON
    """Return the bytes of *document* by RFC 8785; FailedError when it has none."""
    try:
        return rfc8785.dumps(document)
    except (rfc8785.CanonicalizationError, RecursionError) as error:
        raise FailedError(f"{what} has no form in RFC 8785: {error}") from error
