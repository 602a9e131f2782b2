"""Use cases create the same few packs thousands of times; each is compiled once for a module."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

from taskrunner.compiler import driver
from taskrunner.model import canonical_json
from taskrunner.model.ceilings import NO_CEILINGS
from taskrunner.usecases import create_run, simulate_pack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskrunner.compiler.driver import CompiledPack
    from taskrunner.model.ceilings import Ceilings
    from taskrunner.model.json_types import JsonMapping


@pytest.fixture(autouse=True, scope="module")
def _compiled_once() -> Iterator[None]:
    """Keep each pack that was compiled, and see at the end that no test has changed it."""
    kept: dict[bytes, CompiledPack] = {}

    def compile_pack(
        text: str, inputs: JsonMapping, ceilings: Ceilings = NO_CEILINGS
    ) -> CompiledPack:
        key = pickle.dumps((text, inputs, ceilings))
        if key not in kept:
            kept[key] = driver.compile_pack(text, inputs, ceilings)
        return kept[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(create_run, "compile_pack", compile_pack)
        patch.setattr(simulate_pack, "compile_pack", compile_pack)
        yield
    for compiled in kept.values():
        assert canonical_json.digest(compiled.document) == compiled.plan_hash
        assert canonical_json.digest(compiled.definition) == compiled.definition_hash
