"""The child: executes one attempt of one step in a process of its own."""

from __future__ import annotations

import os
from time import monotonic
from typing import TYPE_CHECKING, Protocol, TypeVar

from taskrunner.executors import arguments
from taskrunner.executors.work import EgressDenied, ExecutorFailure, Work
from taskrunner.sandbox import guard, limits, messages, processors
from taskrunner.sandbox.channel import ChannelClosedError
from taskrunner.sandbox.messages import (
    Crashed,
    Denied,
    Execute,
    Failed,
    Finished,
    MalformedMessageError,
    OutOfMemory,
    Prepare,
)
from taskrunner.sandbox.service_proxies import service_proxies

if TYPE_CHECKING:
    from taskrunner.executors import Executor
    from taskrunner.executors.work import Services
    from taskrunner.model.json_types import Json
    from taskrunner.sandbox.attempt import AttemptRequest
    from taskrunner.sandbox.channel import Channel
    from taskrunner.sandbox.messages import Ending

_Expected = TypeVar("_Expected", Prepare, Execute)


class Executors(Protocol):
    """The module that knows the executors: `taskrunner.executors`, or a test's."""

    def references(self) -> list[str]: ...  # noqa: D102
    def find(self, reference: str) -> Executor | None: ...  # noqa: D102


def run(channel: Channel, executors: Executors) -> None:
    """Receive one attempt over *channel*, execute it and send how it ended.

    The start of the attempt may not be recorded yet. Until it is, no call is answered, so the
    executor can do nothing outside this process and its folder.

    The process is of no use afterwards, because its limits stay. They are set before the attempt is
    received: it may be large, and the process keeps the memory that reading it took.
    """
    prepare = _receive(channel, Prepare)
    executor = executors.find(prepare.uses)  # its import does not count against the limits
    assert executor is not None  # noqa: S101 - the parent has found it
    try:
        limits.apply(prepare.limits)
        request = _receive(channel, Execute).request
        processors.use_all_of_parent()  # until now it was kept away from the function's
        started = monotonic()
        outputs = _execute(executor, request, channel)
        wall_s = monotonic() - started
        ending: Ending = Finished(outputs, wall_s, *limits.used_by_this_process())
    except EgressDenied as denial:
        ending = Denied(str(denial))
    except ExecutorFailure as failure:
        ending = Failed(str(failure))
    except MemoryError:
        ending = OutOfMemory()
    except ChannelClosedError:
        return
    except BaseException as error:  # noqa: BLE001 - whatever it was, the author learns that it was
        ending = Crashed(type(error).__name__)
    _send(channel, ending)


def _receive(channel: Channel, expected: type[_Expected]) -> _Expected:
    document, _ = channel.receive()
    message = messages.decode_from_session(document)
    if not isinstance(message, expected):
        raise MalformedMessageError
    return message


def _execute(executor: Executor, request: AttemptRequest, channel: Channel) -> Json:
    os.chdir(request.folder)
    guard.apply()
    services = service_proxies(channel, request.folder)
    parameters = arguments.checked(executor, request.parameters)
    return executor.execute(parameters, work(request, services))


def _send(channel: Channel, ending: Ending) -> None:
    try:
        channel.send(messages.encode(ending))
    except MemoryError:
        channel.send(messages.encode(OutOfMemory()))
    except RecursionError:
        channel.send(messages.encode(Failed("the outputs are nested too deeply")))
    except (TypeError, ValueError) as error:  # not JSON, or too large to be sent
        channel.send(messages.encode(Failed(f"the outputs are not JSON: {error}")))


def work(request: AttemptRequest, services: Services) -> Work:
    """Return what an executor is given for *request*."""
    return Work(
        bundles=services.bundles,
        artifacts=services.artifacts,
        environments=services.environments,
        network=services.network,
        functions=services.functions,
        images=services.images,
        run_id=request.run_id,
        run_created_at=request.run_created_at,
        tenant=request.tenant,
        step_path=request.step_path,
        uses=request.uses,
        attempt=request.attempt,
        time_s=request.limits.wall_s,
        plan_document=request.plan_document,
        output=request.output,
        scratch=request.scratch,
    )
