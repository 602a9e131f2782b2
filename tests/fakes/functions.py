"""Executor functions that a test writes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from taskrunner.errors import TaskRunnerError
from taskrunner.executors.work import AnswerLost, ExecutorFailure
from taskrunner.model.json_types import unusable

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskrunner.model.json_types import JsonObject


@dataclass
class ScriptedFunctions:
    """Executor functions by name. *calls* has what each call was given."""

    functions: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    calls: list[tuple[str, JsonObject]] = field(default_factory=list)

    def invoke(self, name: str, payload: JsonObject) -> Any:  # noqa: ANN401 - any JSON
        self.calls.append((name, json.loads(json.dumps(payload))))
        if name not in self.functions:
            raise ExecutorFailure(f"there is no executor function '{name}' in this deployment")
        try:
            answer = self.functions[name](payload)
        except (TaskRunnerError, AnswerLost):
            raise
        except Exception as error:  # noqa: BLE001 - Lambda reports whatever a function raises
            message = f"the function '{name}' failed: {type(error).__name__}: {error}"
            raise ExecutorFailure(message) from None
        for _, problem in unusable(answer):
            raise ExecutorFailure(f"the function '{name}' answered with invalid JSON: {problem}")
        return answer
