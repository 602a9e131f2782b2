"""Measure how much slower code runs here after a pause: what a machine's neighbours cost.

    .venv/bin/python bench/cold_caches.py

While a process sleeps, others use the processor's caches, those of other virtual machines on the
same host too. So the same code needs more processor time afterwards. A step that works for 0.1 s
pays for that twice, before its work and after it. So `bench/engine.py` can be compared with another
time or another machine only if this is the same: see docs/performance.md.
"""

from __future__ import annotations

import statistics
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
from botocore.awsrequest import AWSResponse

if TYPE_CHECKING:
    from collections.abc import Callable

PAUSE_S = 0.1
ROUNDS = 30
_ITEM = {name: {"S": name} for name in "abcdefgh"}


def request() -> Callable[[], Any]:
    """Return what makes, signs and reads one request of DynamoDB, without any network."""
    client = boto3.client(
        "dynamodb",
        region_name="us-east-1",
        aws_access_key_id="nobody",
        aws_secret_access_key="nothing",  # noqa: S106 - nothing is sent
    )
    client.meta.events.register("before-send.dynamodb", _answer)
    return lambda: client.put_item(TableName="t", Item=_ITEM)


def _answer(request: Any, **_: Any) -> AWSResponse:  # noqa: ANN401 - boto3 has no static types
    body = SimpleNamespace(stream=lambda *_, **__: iter([b"{}"]))
    return AWSResponse(request.url, 200, {}, body)


def processor_s(call: Callable[[], Any], pause_s: float) -> float:
    """Return the processor time of a *call* after a pause: the median of ROUNDS."""
    times = []
    for _ in range(ROUNDS):
        time.sleep(pause_s)
        start = time.thread_time()
        call()
        times.append(time.thread_time() - start)
    return statistics.median(times)


def ratio() -> float:
    """Return the processor time of a request after a pause, as a multiple of one in a loop."""
    call = request()
    processor_s(call, 0)
    return processor_s(call, PAUSE_S) / processor_s(call, 0)


if __name__ == "__main__":
    print(f"a request after {PAUSE_S} s of sleep takes {ratio():.1f} times one in a loop")
