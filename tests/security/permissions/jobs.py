"""Steps on workers, so that the functions of worker pools do all of their work."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Final

import boto3

from tests.machine.runs import ended
from tests.packs import pack

if TYPE_CHECKING:
    from tests.machine.client import Client
    from tests.machine.workers import LeasedWork, Worker

_LONG: Final = "0123456789" * 1000  # over 8 KiB, so that it is claimed from the bucket
_CONTENT: Final = b"<testsuite/>"
# In a block that a failure can stop, so that each write requires that none has. The job `broken`
# has labels that are no texts, and `idle` a condition that does not hold.
_MANIFEST: Final = pack(
    """
    - {id: count, run: {uses: builtin:noop, with: {text: "{{ inputs.long }}", n: 1}}}
    - {id: zip, run: {uses: builtin:build, with: {files: {a.txt: text}}}}
    - id: outer
      continueOnError: true
      parallel:
        steps:
          - id: lanes
            parallel:
              steps:
              - id: tests
                when: length(steps.count.outputs.text) > `1`
                run:
                  uses: worker:linux
                  with:
                    script: make
                    env: {TOKEN: "{{ secrets.token }}", LONG: "{{ steps.count.outputs.text }}"}
                    artifacts: [bundle]
              - {id: fails, continueOnError: true, run: {uses: worker:linux, with: {script: make}}}
              - {id: idle, when: "length(steps.count.outputs.text) < `1`",
                 run: {uses: worker:linux, with: {script: make}}}
              - id: broken
                continueOnError: true
                run:
                  uses: worker:linux
                  with: {script: make, labels: {n: "{{ steps.count.outputs.n }}"}}
    """,
    spec="""
    inputs: [{name: long, type: string}]
    secrets: [{name: token}]
    """,
    name="on-workers",
)


def play_jobs(ana: Client, worker: Worker) -> tuple[dict[str, str], set[str]]:
    """Return the statuses of the steps, and the presigned addresses and secrets of leases."""
    body = {"manifest": _MANIFEST, "inputs": {"long": _LONG}}
    run_id = ana("POST", "runs", body).json["runId"]
    jobs = {work.lease["stepId"]: work for work in (worker.take(), worker.take())}
    tests, fails = jobs["tests"], jobs["fails"]
    urls = {artifact["url"] for artifact in tests.lease["artifacts"]} | {_upload(tests)}
    private = urls | {work.lease["secret"] for work in jobs.values()}
    output = {"sequence": 1, "stream": "stdout", "text": "ok\n"}
    assert tests.heartbeat(output).json["action"] == "continue"
    missing = tests.complete(artifacts=[_file(path="missing.xml")])
    assert missing.json["error"]["code"] == "not_uploaded"
    assert tests.complete(outputs={"text": _LONG}, artifacts=[_file()]).status == 200
    assert fails.fail(message="exit status 2").json["status"] == "Failed"
    state = ended(ana, run_id)
    statuses = {f"{step['stepId']} on workers": step["status"] for step in state["steps"]}
    return statuses | {"on-workers": state["status"]}, private


def _file(**changes: str) -> dict[str, object]:
    digest = hashlib.sha256(_CONTENT).hexdigest()
    file = {"path": "junit.xml", "sizeBytes": len(_CONTENT), "sha256": digest}
    return {**file, "mediaType": "text/xml", **changes}


def _upload(work: LeasedWork) -> str:
    """Store a file as the worker does at its presigned address, which the function has signed."""
    address = work.upload_address(**_file()).json
    path = address["url"].partition("?")[0].split("/", 3)[3]
    bucket, _, key = path.partition("/")
    boto3.client("s3").put_object(
        Bucket=bucket,
        Key=key,
        Body=_CONTENT,
        ContentType="text/xml",
        ChecksumSHA256=base64.b64encode(hashlib.sha256(_CONTENT).digest()).decode(),
    )
    url: str = address["url"]
    return url
