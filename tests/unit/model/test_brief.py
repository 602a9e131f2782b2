from __future__ import annotations

import json
from typing import Any

from taskrunner.compiler.driver import compile_pack
from taskrunner.model.brief import brief_of
from taskrunner.model.ceilings import NO_CEILINGS
from tests.packs import pack

GATE = "- {id: review, gate: {approval: {id: security}}}"
APPROVALS = "approvals: [{id: security}]"


def brief(names: str, inputs: dict[str, Any], steps: str = GATE, spec: str = APPROVALS) -> Any:  # noqa: ANN401
    declared = ", ".join(f"{{name: {name}, type: string}}" for name in names.split())
    manifest = pack(steps, spec=f"inputs: [{declared}]\n{spec}")
    return brief_of(compile_pack(manifest, inputs, NO_CEILINGS).plan)


def test_shows_the_inputs() -> None:
    assert brief("a b", {"a": "ä", "b": "2"}) == {"inputs": {"a": "ä", "b": "2"}}


def test_a_pack_without_approvals_has_no_brief() -> None:
    plain = "- {id: ship, run: {uses: builtin:noop}}"

    assert brief("a", {"a": "1"}, plain, "outputs: []") is None


def test_counts_the_inputs_that_do_not_fit() -> None:
    large = "\u00e4" * 8_000

    shown = brief("a b c", {"a": large, "b": large, "c": "small"})

    assert shown == {"inputs": {"a": large, "c": "small"}, "inputsOmitted": 1}
    assert len(json.dumps(shown, ensure_ascii=False).encode()) < 17_000
