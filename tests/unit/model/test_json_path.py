from __future__ import annotations

import pytest

from taskrunner.model import json_path


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), "$"),
        (("spec", "steps", 2, "run", "uses"), "$.spec.steps[2].run.uses"),
        (("a_b", "_c", "D1"), "$.a_b._c.D1"),
        (("a-b",), "$['a-b']"),
        (("1a", ""), "$['1a']['']"),
        (("a.b", "c d", "é"), "$['a.b']['c d']['é']"),
        (("it's", "back\\slash"), "$['it\\'s']['back\\\\slash']"),
        ((0, "0"), "$[0]['0']"),
    ],
)
def test_a_path_is_written_as_rfc_9535_has_it(path: json_path.Path, text: str) -> None:
    assert json_path.render(path) == text
