"""One attempt of one step, in its own process: the last thing that the process does."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from taskrunner.executors.work import EgressDenied, ExecutorFailure, Services, Work
from taskrunner.sandbox import guard, limits, remote
from taskrunner.sandbox.job import OUTPUT_FOLDER, SCRATCH_FOLDER, Limits
from taskrunner.sandbox.wire import Channel, ClosedError

if TYPE_CHECKING:
    from taskrunner.executors import Executor
    from taskrunner.model.json_types import JsonObject


class Executors(Protocol):
    """What knows the executors: `taskrunner.executors`."""

    def references(self) -> list[str]: ...  # noqa: D102
    def find(self, reference: str) -> Executor | None: ...  # noqa: D102


def run(channel: Channel, executors: Executors) -> None:
    """Receive a job, execute it and tell how it ended; the process is of no use afterwards.

    The limits come first: a job may be large, and what was taken to read it stays with the process.
    """
    uses, _ = channel.receive()
    executor = executors.find(uses["uses"])  # its import is no use of the executor's memory or time
    assert executor is not None  # noqa: S101 - the parent found it
    try:
        limits.apply(Limits(**uses["limits"]))
        job, _ = channel.receive()
        folder = Path(job["folder"])
        os.chdir(folder)
        guard.apply()
        services = remote.services(channel, folder)
        work = _work(job, folder, services)
        outputs = executor.execute(executor.Parameters.model_validate(job["parameters"]), work)
        told: JsonObject = {"outputs": outputs}
    except EgressDenied as denial:
        told = {"denied": str(denial)}
    except ExecutorFailure as failure:
        told = {"failed": str(failure)}
    except MemoryError:
        told = {"memory": True}
    except ClosedError:
        return
    except BaseException as surprise:  # noqa: BLE001 - whatever it was, the author is told that it was
        # Its text may hold anything, and says little to an author: the kind has to do.
        told = {"surprise": type(surprise).__name__}
    _tell(channel, told)


def _tell(channel: Channel, told: JsonObject) -> None:
    try:
        channel.send({"ended": told})
    except MemoryError:
        channel.send({"ended": {"memory": True}})
    except (TypeError, ValueError) as error:
        # No JSON, or too much of it.
        channel.send({"ended": {"failed": f"the outputs are no JSON: {error}"}})


def _work(job: JsonObject, folder: Path, services: Services) -> Work:
    given = {one.name: getattr(services, one.name) for one in fields(Services)}
    return Work(
        **given,
        run_id=job["run_id"],
        run_created_at=job["run_created_at"],
        tenant=job["tenant"],
        step_id=job["step_id"],
        uses=job["uses"],
        attempt=job["attempt"],
        time_s=job["limits"]["wall_s"],
        plan_document=job["plan_document"],
        output=folder / OUTPUT_FOLDER,
        scratch=folder / SCRATCH_FOLDER,
    )
