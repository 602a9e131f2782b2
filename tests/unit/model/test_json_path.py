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
def test_writes_a_json_path_by_rfc_9535_and_reads_it(path: json_path.JsonPath, text: str) -> None:
    assert json_path.render(path) == text
    assert json_path.parse(text) == path


@pytest.mark.parametrize("text", ["", "a", ".a", "$a", "$.", "$.a b", "$[x]", "$['a", "$.spec..."])
def test_reads_no_path_that_it_does_not_write(text: str) -> None:
    assert json_path.parse(text) is None


# RFC 6901, section 5.
@pytest.mark.parametrize(
    ("path", "text"),
    [((), ""), (("foo", 0), "/foo/0"), (("",), "/"), (("a/b", "m~n"), "/a~1b/m~0n")],
)
def test_writes_a_json_pointer_by_rfc_6901(path: json_path.JsonPath, text: str) -> None:
    assert json_path.pointer(path) == text
