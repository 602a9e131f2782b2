"""builtin:noop returns its parameters."""

from pathlib import Path

import pytest

from taskrunner.executors.builtin import noop
from taskrunner.model.json_types import JsonObject
from tests.fakes.executor_world import a_work


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"greeting": "Hello, world!"},
        {"b": 1, "a": [1.5, None, {"deep": True}]},
        {"model_config": 1, "model_extra": 2, "copy": 3, "self": 4, "__class__": 5, "a b": 6},
    ],
)
def test_noop_returns_its_parameters_in_their_order(given: JsonObject, tmp_path: Path) -> None:
    parameters = noop.Parameters.model_validate(given)

    outputs = noop.execute(parameters, a_work(tmp_path))

    assert given == outputs
    assert list(given) == list(outputs)
