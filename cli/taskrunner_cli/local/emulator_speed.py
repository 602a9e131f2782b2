"""Make MiniStack's own work for a request shorter.

All users of the local stack wait for this one Python process, and so do the tests. All answers,
checks and errors of MiniStack's services stay as they are: requests are read in C, what depends on
a text alone is worked out once, and plain data is copied in a plain way. Together this takes a
third off the emulator's processor time for a step; see docs/performance.md. WebSockets, HTTPS and
HTTP/2 are not served, because the local stack does not use them.

`emulator_process.py` loads this file. It runs in the emulator's environment, so it imports nothing
of the project. tests/programs/emulator/test_speed.py compares it with MiniStack's own functions.
"""

import asyncio
import copy
import marshal
import os
import pickle
from collections.abc import Coroutine
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import hypercorn.asyncio
import uvicorn
import uvloop
import yaml
from ministack.core import iam_evaluator
from ministack.services import dynamodb
from ministack.services.cloudformation import engine
from samtranslator.translator import transform as sam

_tokenize = dynamodb._tokenize
_parse_policy = iam_evaluator.parse_policy_document
_transform = sam.transform

# A query checks the syntax of its condition again for each item of its partition, and a transaction
# for each of its writes, twice. That was a tenth of the emulator's time.
condition_syntax_error = lru_cache(maxsize=512)(dynamodb._condition_syntax_error)


@lru_cache(maxsize=512)
def _tokens(expression: str) -> tuple[tuple[str, str], ...]:
    return tuple(_tokenize(expression))


def tokenize(expression: str) -> list[tuple[str, str]]:
    """Split an expression of DynamoDB, which MiniStack does letter by letter for each check."""
    return list(_tokens(expression))


@lru_cache(maxsize=512)
def _statements(policy: str) -> tuple[Any, ...]:
    return tuple(_parse_policy(policy))


def parse_policy(policy: str | dict[str, Any]) -> list[Any]:
    """Return the statements of a policy; nothing changes them.

    MiniStack parses all policies of the caller for each request and for each write of a
    transaction. That was half of the time that it takes to find the caller and its rights.
    """
    return list(_statements(policy) if isinstance(policy, str) else _parse_policy(policy))


def copy_item(value: Any) -> Any:
    """Copy an item of a table, which is parsed JSON.

    A transaction copies each item that it changes seven times. `copy.deepcopy` takes five times
    as long, which was a sixth of the time of a transaction.
    """
    try:
        return marshal.loads(marshal.dumps(value))  # noqa: S302 - written here
    except ValueError:  # not plain data
        return copy.deepcopy(value)


class TemplateLoader(yaml.CSafeLoader):
    """Reads a template with the tags of CloudFormation.

    MiniStack reads it in Python several times for each deployment, 0.17 s each time. libyaml takes
    a ninth of that.
    """

    yaml_constructors = engine.CfnLoader.yaml_constructors


@lru_cache(maxsize=4)
def _transformed(template: bytes, _region: str | None) -> bytes:
    # Both are written and read here alone.
    return pickle.dumps(_transform(pickle.loads(template), {}, engine._NO_IAM_POLICY_LOADER))  # noqa: S301


def transform(template: dict[str, Any], parameters: dict[str, Any], policies: Any) -> Any:
    """Transform a template of SAM, which takes 0.4 s and depends on the Region alone.

    MiniStack does that for a change set and again when it is executed, and gives no parameters. An
    API with `AlwaysDeploy` would depend on the time, but ours has none.
    """
    if parameters or policies is not engine._NO_IAM_POLICY_LOADER:
        return _transform(template, parameters, policies)
    region = os.environ.get("AWS_DEFAULT_REGION")
    return pickle.loads(_transformed(pickle.dumps(template), region))  # noqa: S301


class _HeaderName(bytes):
    """A header's name as MiniStack writes it; uvicorn would send it in lower case."""

    def lower(self) -> bytes:
        return self

    def __eq__(self, other: object) -> bool:
        return bytes(self).lower() == other

    __hash__ = bytes.__hash__


def with_header_names(application: Any) -> Any:
    """Return the ASGI *application* with the names of its headers as it writes them."""

    async def named(scope: Any, receive: Any, send: Any) -> None:
        async def send_named(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = [(_HeaderName(name), value) for name, value in message["headers"]]
                message = {**message, "headers": headers}
            await send(message)

        await application(scope, receive, send_named)

    return named


async def serve(application: Any, config: Any) -> None:
    """Serve requests by uvicorn, with hypercorn's *config*.

    hypercorn and h11 are written in Python, and start two tasks and cancel one for each request.
    They took a third of the emulator's time. uvicorn reads a request in C, and uvloop sends its
    answer in one packet.
    """
    host, _, port = config.bind[0].rpartition(":")
    settings = uvicorn.Config(
        with_header_names(application),
        host=host,
        port=int(port),
        http="httptools",
        ws="none",
        lifespan="on",
        log_level=config.loglevel.lower(),
        access_log=False,
        proxy_headers=False,  # MiniStack reads them
        server_header=False,
        date_header=False,  # MiniStack adds it
        timeout_keep_alive=int(config.keep_alive_timeout),
        timeout_graceful_shutdown=int(config.graceful_timeout),
    )
    server = uvicorn.Server(settings)
    await server.serve()


def run(main: Coroutine[Any, Any, Any], **options: Any) -> Any:
    """Run *main* as `asyncio.run` does, with uvloop's event loop, which is written in C."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop, **options) as runner:
        return runner.run(main)


def install() -> None:
    """Replace MiniStack's functions by those above."""
    dynamodb._condition_syntax_error = condition_syntax_error
    dynamodb._tokenize = tokenize
    dynamodb.copy = SimpleNamespace(deepcopy=copy_item)
    iam_evaluator.parse_policy_document = parse_policy
    engine.CfnLoader = TemplateLoader
    sam.transform = transform
    hypercorn.asyncio.serve = serve
    asyncio.run = run
