"""`states:<name>` runs an existing Step Functions machine of the account as a step.

No function executes such a step: the run's machine waits with a task token until the execution of
the called machine has ended (`usecases/call_machine.py`, `usecases/end_machine_call.py`). This
module says which parameters it takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NoReturn

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from taskrunner.executors.arguments import RESERVED
from taskrunner.executors.parameters import AnyParameters

if TYPE_CHECKING:
    from taskrunner.executors.work import Work


def _reserved(_value: object) -> NoReturn:
    message = "is added by the service, with the names of run and step; choose another name"
    raise PydanticCustomError(RESERVED, message)


class Parameters(AnyParameters):
    """Any parameters, which are the execution's input; the machine checks them."""

    taskrunner: Annotated[None, BeforeValidator(_reserved)] = None


def execute(_parameters: Parameters, _work: Work) -> NoReturn:
    """Fail: no machine leads here.

    Raises:
        RuntimeError: always.
    """
    raise RuntimeError("a state machine runs this step, and not a function")
