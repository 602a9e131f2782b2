"""builtin:noop returns its parameters."""

from pathlib import Path

import pytest

from taskrunner.executors.builtin import noop
from taskrunner.model.json_types import JsonObject
from tests.fakes.executor_world import a_work


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"greeting": "Hello, world!"},
        {"b": 1, "a": [1.5, None, {"deep": True}]},
        {"model_config": 1, "model_extra": 2, "copy": 3, "self": 4, "__class__": 5, "a b": 6},
    ],
)
def test_noop_returns_its_parameters_in_their_order(parameters: JsonObject, tmp_path: Path) -> None:
    validated = noop.Parameters.model_validate(parameters)

    outputs = noop.execute(validated, a_work(tmp_path))

    assert outputs == parameters
    assert list(outputs) == list(parameters)
