"""`states:<name>` runs an existing Step Functions machine of the account as a step.

No function executes such a step: the run's machine waits with a task token until the execution of
the called machine has ended (`usecases/call_machine.py`, `usecases/end_machine_call.py`). This
module says which parameters it takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, NoReturn

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic_core import PydanticCustomError

from taskrunner.executors.arguments import RESERVED

if TYPE_CHECKING:
    from taskrunner.executors.work import Work


def _reserved(_value: object) -> NoReturn:
    message = "is added by the service, with the names of run and step; choose another name"
    raise PydanticCustomError(RESERVED, message)


class Parameters(BaseModel):
    """Any parameters, which are the execution's input; the machine checks them."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow", frozen=True)

    taskrunner: Annotated[None, BeforeValidator(_reserved)] = None


def execute(_parameters: Parameters, _work: Work) -> NoReturn:
    """Fail: no machine leads here.

    Raises:
        RuntimeError: always.
    """
    raise RuntimeError("a state machine runs this step, and not a function")
