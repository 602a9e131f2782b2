"""Secrets that workers get are in nothing that is kept, and neither are leases and task tokens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tests.machine.deployment import TABLE
from tests.machine.runs import TENANT, ended, start
from tests.machine.workers import Worker, worker_client
from tests.security.leaks import places
from tests.security.leaks.packs import manifest
from tests.security.leaks.scene import scene
from tests.security.leaks.spellings import SECRETS, found_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.security.leaks.scene import Scene


def steps_of(name: str) -> list[dict[str, Any]]:
    """Two steps whose worker gets the secret *name*, and one whose labels would show it."""
    uses: dict[str, Any] = {"uses": "worker:linux"}
    template = f"{{{{ secrets.{name} }}}}"
    work = {"script": "make", "env": {"TOKEN": template}, "files": {"key": template}}
    return [
        {"id": "succeeds", "run": uses | {"with": work}},
        {"id": "fails", "run": uses | {"with": {"command": ["push", template]}}},
    ]


def lines_of(text: str) -> Iterator[dict[str, Any]]:
    """Parts of output that contain *text*, as a worker that redacts nothing sends them."""
    for number, start_at in enumerate(range(0, len(text), 3000), 1):
        part = text[start_at : start_at + 3000]
        yield {"sequence": number, "stream": "stdout", "text": f"<{part}>"}


def unguarded(stage: Scene, name: str) -> tuple[str, list[str]]:
    """Run the steps with a worker that sends the secret everywhere; return its leases' secrets."""
    value = SECRETS[name]
    worker = Worker(worker_client(stage.engine))
    run_id = start(stage.ana, manifest(steps_of(name), stage.port))
    first = worker.take()
    assert first.lease["secrets"] == {name: value}
    for line in lines_of(value):
        assert first.heartbeat(line).status == 200
    assert first.complete(outputs={"it": value, "deep": [{value: f"at {value}."}]}).status == 200
    second = worker.take()
    assert second.fail(message=f"cannot push with {value}"[:1000]).status == 200
    ended(stage.ana, run_id)
    return run_id, [work.lease["secret"] for work in (first, second)]


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_a_secret_that_a_worker_gets_is_found_nowhere_but_in_its_lease(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with scene() as stage:
        run_id, _ = unguarded(stage, name)

        printed = "".join(capfd.readouterr()).encode("utf-8", "surrogatepass")
        assert stage.leaks([name], run_id) == []
        assert found_in([("printed", printed)], SECRETS) == []
        assert stage.secrets.reads == {("serve_workers", TENANT)}
        assert b"***" in b"".join(text for _, text in places.answers(stage.ana, run_id))


def test_no_lease_and_no_token_is_in_what_is_kept_logged_or_answered(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with scene() as stage:
        run_id, secrets = unguarded(stage, "plain")
        stage.engine.rest()
        tokens = [event["token"] for name, event in stage.engine.calls if name == "offer_job"]
        printed = "".join(capfd.readouterr())
        shown = {
            **{place: text.decode() for place, text in places.answers(stage.ana, run_id)},
            "table": json.dumps(boto3.client("dynamodb").scan(TableName=TABLE)["Items"]),
            "printed": printed,
            "log": "\n".join(line for line in stage.watch.lines if _is_ours(line)),
        }

        assert len(tokens) == len(secrets) == 2
        found = [
            (place, text[:40])
            for place, text in shown.items()
            if any(hidden in text for hidden in (*tokens, *secrets))
        ]
        assert found == []


def test_a_waiting_job_shows_nobody_its_token() -> None:
    with scene() as stage:
        run_id = start(stage.ana, manifest(steps_of("plain"), stage.port))
        stage.engine.until(lambda: bool(_tokens(stage)), "nothing was offered")
        worker = Worker(worker_client(stage.engine))
        work = worker.take()
        answers = [json.dumps(work.lease), work.heartbeat().body]
        answers += [text.decode() for _, text in places.answers(stage.ana, run_id)]

        assert not any(token in answer for token in _tokens(stage) for answer in answers)
        stored = json.dumps(boto3.client("dynamodb").scan(TableName=TABLE)["Items"])
        assert all(token in stored for token in _tokens(stage))
        assert work.lease["secret"] not in stored

        work.complete()
        worker.take().complete()
        ended(stage.ana, run_id)


def _tokens(stage: Scene) -> list[str]:
    return [event["token"] for name, event in stage.engine.calls if name == "offer_job"]


def _is_ours(line: str) -> bool:
    """Return whether the service logged a line, and not a library at the level DEBUG."""
    return not line.startswith(("botocore", "urllib3", "boto3", "moto", "s3transfer"))
