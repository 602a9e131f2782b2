"""Executors that let out a secret in every way that a process has.

`builtin:noop` is replaced by one that goes the way that its parameter `way` names, because a pack
can use the names of real executors only.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taskrunner import executors
from taskrunner.executors.builtin import noop
from taskrunner.executors.work import EgressDenied, ExecutorFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

    from taskrunner.executors.work import Work


@dataclass(frozen=True)
class Leaky:
    Parameters: type[BaseModel] = noop.Parameters

    def execute(self, parameters: BaseModel, work: Work) -> Any:  # noqa: ANN401
        given = dict(parameters.model_extra or {})
        way = _ALL.get(str(given.get("way")))
        return given if way is None else way(str(given["secret"]), work)


def references() -> list[str]:
    return executors.references()


def find(reference: str) -> Any:  # noqa: ANN401
    return Leaky() if reference == "builtin:noop" else executors.find(reference)


def raises(secret: str, _: Work) -> Any:  # noqa: ANN401
    raise ValueError(secret)


def fails(secret: str, _: Work) -> Any:  # noqa: ANN401
    raise ExecutorFailure("x" * 990 + secret)


def is_denied(secret: str, _: Work) -> Any:  # noqa: ANN401
    raise EgressDenied(f"no way to {secret}")


def raises_an_error_named_after_it(secret: str, _: Work) -> Any:  # noqa: ANN401
    raise type(secret, (Exception,), {})(secret)


def prints(secret: str, _: Work) -> Any:  # noqa: ANN401
    print(secret)  # noqa: T201
    print(secret, file=sys.stderr, flush=True)  # noqa: T201
    os.write(1, secret.encode())
    os.write(2, secret.encode())
    return {}


def dies(secret: str, _: Work) -> Any:  # noqa: ANN401
    os.write(2, secret.encode())
    signal.raise_signal(signal.SIGSEGV)


def leaves(secret: str, work: Work) -> Any:  # noqa: ANN401
    (work.output / "left.txt").write_text(secret, encoding="utf-8")
    os._exit(3)


def takes_too_long(secret: str, work: Work) -> Any:  # noqa: ANN401
    (work.output / "late.txt").write_text(f"so far: {secret}", encoding="utf-8")
    signal.pause()


def takes_too_much(secret: str, _: Work) -> Any:  # noqa: ANN401
    return secret * (2**40)


def returns_too_much(secret: str, _: Work) -> Any:  # noqa: ANN401
    return {"much": [secret] * 20_000}


def returns_invalid_json(secret: str, _: Work) -> Any:  # noqa: ANN401
    return {secret: {secret}}


def returns_not_a_number(secret: str, _: Work) -> Any:  # noqa: ANN401
    return {secret: float("nan")}


def writes_files(secret: str, work: Work) -> Any:  # noqa: ANN401
    (work.output / "as-it-is.txt").write_text(f"token={secret}", encoding="utf-8")
    (work.output / "wide.txt").write_text(f"token={secret}", encoding="utf-16")
    (work.output / "hex.txt").write_text(secret.encode().hex(), encoding="utf-8")
    (work.output / "big.bin").write_bytes(b"\0" * (1024 * 1024 - 5) + secret.encode() + b"\0" * 99)
    return {}


def names_files(secret: str, work: Work) -> Any:  # noqa: ANN401
    if len(secret) < 200:
        (work.output / secret).mkdir(parents=True)
        (work.output / secret / "inner.txt").write_text("nothing", encoding="utf-8")
        (work.output / f"of-{secret}-.txt").parent.mkdir(parents=True, exist_ok=True)
        (work.output / f"of-{secret}-.txt").write_text("nothing", encoding="utf-8")
    return {}


def links_to_it(secret: str, work: Work) -> Any:  # noqa: ANN401
    (work.output / "link").symlink_to(f"/{secret}"[:200])
    return {}


def puts_a_bundle(secret: str, work: Work) -> Any:  # noqa: ANN401
    file = work.scratch / "of.bin"
    file.write_bytes(b"bundle " + secret.encode())
    return {"bundle": work.bundles.put(file).digest}


def fetches_an_unknown_artifact(secret: str, work: Work) -> Any:  # noqa: ANN401
    return {"got": work.artifacts.fetch(secret, work.scratch / "got")}


def finds_an_unknown_bundle(secret: str, work: Work) -> Any:  # noqa: ANN401
    return {"got": str(work.bundles.find(secret))}


def bundles_an_unknown_file(secret: str, work: Work) -> Any:  # noqa: ANN401
    return {"got": str(work.bundles.put(work.output / secret))}


def invokes_an_unknown_function(secret: str, work: Work) -> Any:  # noqa: ANN401
    return work.functions.invoke(secret, {"secret": secret})


def looks_up_an_unknown_image(secret: str, work: Work) -> Any:  # noqa: ANN401
    return work.images.findings("123456789012.dkr.ecr.us-east-1.amazonaws.com", secret, secret)


def connects_to_a_host(secret: str, work: Work) -> Any:  # noqa: ANN401
    return {"got": str(work.network.connect(secret, 443, 1))}


def sends_an_unknown_request(secret: str, work: Work) -> Any:  # noqa: ANN401
    return _reply(work, {"type": secret})


def sends_a_wrong_request(secret: str, work: Work) -> Any:  # noqa: ANN401
    return _reply(work, {"type": "FindBundle", secret: 1})


def _reply(work: Work, message: dict[str, Any]) -> Any:  # noqa: ANN401
    channel = work.bundles._caller.channel  # type: ignore[attr-defined]
    channel.send(message)
    return {"got": str(channel.receive()[0])}


_ALL: dict[str, Callable[[str, Work], Any]] = {
    name: value
    for name, value in list(globals().items())
    if callable(value)
    and getattr(value, "__module__", "") == __name__
    and name not in {"Leaky", "references", "find", "_reply"}
}
WAYS = sorted(_ALL)
