"""The in-toto statement that evidence signs: its required members, and the rules between them."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from taskrunner_cli.evidence.canonical_json import CheckFailedError, canonical_json, parse_json

DIGEST_PREFIX: Final = "sha256:"


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, alias_generator=to_camel)


class Run(_Model):
    """The run that the statement is about."""

    id: str
    tenant: str
    outcome: str
    created_by: str
    created_by_name: str | None = None
    created_at: str
    ended_at: str


class Pack(_Model):
    """The run's pack."""

    name: str
    version: str


class Journal(_Model):
    """The number of log lines that are covered, and their digest."""

    lines: Annotated[int, Field(gt=0)]
    sha256: str


class Artifact(_Model):
    """An artifact of the run; only a captured one has a digest."""

    name: str
    status: str
    sha256: str = ""


class Predicate(_Model):
    """The members of the predicate that the checks read."""

    run: Run
    pack: Pack
    plan_hash: str
    journal: Journal
    artifacts: list[Artifact]


class Statement(_Model):
    """The members of the statement that the checks read; it may have more."""

    type: Annotated[Literal["https://in-toto.io/Statement/v1"], Field(alias="_type")]
    subject: list[dict[str, Any]]
    predicate_type: Literal["https://stellaops.io/attestations/task-run/v1"]
    predicate: Predicate


def read_statement(payload: bytes) -> tuple[Statement, Mapping[str, Any]]:
    """Return the statement in *payload*, as a model and as the document that it is.

    Raises:
        CheckFailedError: it is of another type or not in canonical form, or its subjects are not
            those of its predicate.

    """
    document = parse_json(payload, "the statement")
    if payload != canonical_json(document, "the statement"):
        raise CheckFailedError("the statement is not in its canonical form (RFC 8785)")
    try:
        statement = Statement.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the statement"
        raise CheckFailedError(f"{place}: {first['msg']}, but is {first['input']!r:.80}") from error
    if statement.subject != _subjects(statement.predicate):
        raise CheckFailedError("the statement's subjects are not those of its predicate")
    return statement, document  # type: ignore[return-value] # validated above: an object


def _subjects(predicate: Predicate) -> list[dict[str, Any]]:
    """Return the subjects that a statement with *predicate* must have."""
    digests = {
        "plan": predicate.plan_hash.removeprefix(DIGEST_PREFIX),
        "journal": predicate.journal.sha256,
    }
    for artifact in predicate.artifacts:
        if artifact.status == "captured":
            digests[f"artifacts/{artifact.name}"] = artifact.sha256
    return [{"name": name, "digest": {"sha256": sha256}} for name, sha256 in digests.items()]
