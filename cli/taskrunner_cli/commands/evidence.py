"""`evidence`: a run's evidence with all it speaks of, fetched, and verified offline."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Group, RenderableType

from taskrunner_cli.api.documents import ENDED, Artifact
from taskrunner_cli.errors import DisappointedError, UsageMistakeError
from taskrunner_cli.output.formatting import text
from taskrunner_cli.output.runs import check_list, facts
from taskrunner_cli.output.screen import Form, Screen
from taskrunner_cli.session import OutputOption, RunArgument, Session, in_session

if TYPE_CHECKING:
    from taskrunner_cli.evidence.verification import Check

app: Final = typer.Typer(help="What a run's record proves, signed.", no_args_is_help=True)

BUNDLE: Final = "evidence-bundle"
_BUNDLE_ENDING: Final = ".evidence.json"
_LOG: Final = "run.log"
_PLAN: Final = "plan.json"
_ARTIFACTS: Final = "artifacts"
_WITHIN_S: Final = 60.0  # a run's end and its evidence are moments apart
_PAUSE_S: Final = 1.0

BundleArgument = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="The bundle, or a folder that `fetch` made.")
]
KeyOption = Annotated[Path, typer.Option(metavar="PEM", help="The public key to trust.")]
JournalOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The run's log, as the API serves it.")
]
PlanOption = Annotated[Path | None, typer.Option(metavar="FILE", help="The plan as JSON.")]
PlanHashOption = Annotated[
    str | None, typer.Option(metavar="HASH", help="The plan hash that was approved.")
]
ArtifactOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=PATH", help="An artifact's file; as often as needed."),
]


@app.command("verify")
def verify(  # noqa: PLR0913 -- what may be given, each by its name
    bundle: BundleArgument,
    *,
    key: KeyOption,
    journal: JournalOption = None,
    plan: PlanOption = None,
    plan_hash: PlanHashOption = None,
    artifact: ArtifactOption = None,
    output: OutputOption = Form.TEXT,
) -> None:
    """Verify a bundle, and what is given beside it, without asking anybody."""
    # It brings cryptography along, which no other command need pay for.
    from taskrunner_cli.evidence import verification as evidence  # noqa: PLC0415

    screen = Screen(output)
    place = _Place.of(bundle)
    given = evidence.Given(
        journal=_read(journal or place.journal),
        plan=_read(plan or place.plan),
        plan_hash=plan_hash,
        artifacts=_digests({**place.artifacts, **_named(artifact or [])}),
    )
    trusted = evidence.read_key(_content(key), str(key))
    report = evidence.verify(_content(place.bundle), trusted, given)
    if screen.is_json:
        screen.document(_document(place.bundle, report.checks, report.statement))
    if report.statement is not None:
        screen.say(_view(report.statement))
    screen.say(check_list(report.checks))
    if report.failed:
        raise DisappointedError(
            f"the evidence does not hold: failed: {', '.join(report.failed)}",
            code="evidence_failed",
        )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the bundle is, and what lies beside it in a folder that `fetch` made."""

    bundle: Path
    journal: Path | None
    plan: Path | None
    artifacts: Mapping[str, Path]

    @classmethod
    def of(cls, path: Path) -> "_Place":
        if not path.is_dir():
            return cls(path, None, None, {})
        bundles = sorted(path.glob(f"*{_BUNDLE_ENDING}"))
        if len(bundles) != 1:
            raise UsageMistakeError(
                f"{path} has {len(bundles)} files *{_BUNDLE_ENDING}, not one",
                cure="name the file, or a folder that `taskrunner evidence fetch RUN` made",
            )
        log, plan, artifacts = path / _LOG, path / _PLAN, path / _ARTIFACTS
        return cls(
            bundles[0],
            log if log.exists() else None,
            plan if plan.exists() else None,
            {one.name: one for one in sorted(artifacts.glob("*"))},
        )


@app.command("fetch")
@in_session
def fetch(
    session: Session,
    run: RunArgument,
    *,
    to: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder (default RUN.evidence).")
    ] = None,
) -> None:
    """Fetch a run's bundle, log and artifacts into a folder that `verify` takes."""
    listed = _when_sealed(session, run)
    folder = to or Path(f"{Path(run).name}.evidence")
    artifacts = folder / _ARTIFACTS
    try:
        artifacts.mkdir(parents=True, exist_ok=True)
        session.client.download(run, BUNDLE, folder / f"{Path(run).name}{_BUNDLE_ENDING}")
        (folder / _LOG).write_bytes(b"".join(session.client.raw_log(run)))
        for one in listed:
            if one["name"] != BUNDLE and one["status"] == "captured":
                _save(session, run, one, artifacts / Path(one["name"]).name)
    except OSError as error:
        raise UsageMistakeError(f"cannot write into {folder}: {error.strerror}") from error
    files = sorted(str(one) for one in folder.rglob("*") if one.is_file())
    said = [text(f"saved {one}") for one in files]
    following = text(f"now: taskrunner evidence verify {folder} --key PEM", "dim")
    session.answer({"runId": run, "folder": str(folder), "files": files}, Group(*said, following))


def _when_sealed(session: Session, run: str) -> list[Artifact]:
    """The run's artifacts once its bundle is among them.

    Raises:
        DisappointedError: the run has not ended, or has no evidence yet.

    """
    state = session.client.run(run)
    if state["status"] not in ENDED:
        raise DisappointedError(
            f"run {run} is {state['status']}; its evidence is made when it ends",
            cure=f"taskrunner show {run} --watch",
        )
    until_s = session.world.clock.monotonic() + _WITHIN_S
    while True:
        listed = session.client.artifacts(run)
        if any(one["name"] == BUNDLE for one in listed):
            return listed
        if session.world.clock.monotonic() >= until_s:
            raise DisappointedError(
                f"run {run} is {state['status']} and has no evidence yet",
                cure="the reconciler makes what is missing within minutes; try again then",
            )
        session.world.clock.sleep(_PAUSE_S)


def _save(session: Session, run: str, artifact: Artifact, path: Path) -> None:
    """Save a file as it is stored, and a value in the text that its digest is of."""
    if artifact["type"] == "object":
        path.write_bytes(artifact.get("expressionJson", "").encode())
    else:
        session.client.download(run, artifact["name"], path)


def _named(given: list[str]) -> dict[str, Path]:
    named = {}
    for word in given:
        name, equals, path = word.partition("=")
        if not (name and equals and path):
            raise UsageMistakeError(
                f"--artifact {word} is not NAME=PATH", cure="--artifact report=report.json"
            )
        named[name] = Path(path)
    return named


def _digests(paths: Mapping[str, Path]) -> dict[str, str]:
    return {name: hashlib.sha256(_content(path)).hexdigest() for name, path in paths.items()}


def _read(path: Path | None) -> bytes | None:
    return None if path is None else _content(path)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageMistakeError(f"cannot read {path}: {error.strerror}") from error


def _view(statement: Mapping[str, Any]) -> RenderableType:
    predicate = statement["predicate"]
    run, pack = predicate["run"], predicate["pack"]
    return facts(
        {
            "run": f"{run['id']} of {run['tenant']}, {run['outcome']}",
            "pack": f"{pack['name']} {pack['version']}",
            "created": f"{run['createdAt']} by {run['createdBy']}",
            "ended": run["endedAt"],
        }
    )


def _document(
    bundle: Path, checks: "tuple[Check, ...]", statement: Mapping[str, Any] | None
) -> dict[str, Any]:
    results = [
        {"check": one.name, "result": one.result.value, "detail": one.detail} for one in checks
    ]
    holds = all(one.result.value in {"passed", "not given"} for one in checks)
    return {"bundle": str(bundle), "holds": holds, "checks": results, "statement": statement}
