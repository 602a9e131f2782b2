"""Blocks in blocks and beside blocks, which the compiler asks for what they hold."""

from __future__ import annotations

from tests.packs import pack
from tests.security.hostile.case import Case, filled, filled_with_steps


def cases() -> dict[str, Case]:
    run = "run: {uses: 'builtin:noop'}"
    lanes = f"{{id: x, {run}}}"
    for n in range(13):
        lanes = (
            f"{{id: p{n}, type: parallel, maxParallel: 1, steps: [{lanes}, {{id: y{n}, {run}}}]}}"
        )
    branches = f"{{id: x, {run}}}"
    for n in range(6):
        branches = (
            f"{{id: p{n}, type: parallel, maxParallel: 1, "
            f"branches: [{{steps: [{branches}, {{id: y{n}, {run}}}]}}]}}"
        )
    branch = filled(f"    - {{name: n%d, steps: [{{id: s%d, {run}}}]}}", 60_000)
    lane = filled(f"    - {{id: s%d, {run}}}", 120_000)
    unknown = "{items: run.id, step: {id: s%d, run: {uses: 'builtin:noop'}}}"
    items = "{range: {end: 9999}}"
    return {
        "limited-lanes-in-lanes": Case("", pack(f"- {lanes}"), refused=False),
        "limited-branches-in-branches": Case("", pack(f"- {branches}"), refused=False),
        "many-branches": Case(
            "", pack(f"- id: p\n  parallel:\n    branches:\n{branch}"), refused=False
        ),
        "many-limited-lanes": Case(
            "", pack(f"- id: p\n  parallel:\n    maxParallel: 1\n    steps:\n{lane}")
        ),
        "many-maps-of-unknown-items": filled_with_steps(f"- {{id: m%d, map: {unknown}}}"),
        "many-maps-in-maps": filled_with_steps(
            f"- {{id: m%d, map: {{items: run.id, iterator: i, index: j, "
            f"step: {{id: n%d, map: {unknown}}}}}}}"
        ),
        "many-maps-of-10,000": Case(
            "",
            pack(filled(f"- {{id: m%d, map: {{items: {items}, step: {{id: s%d, {run}}}}}}}")),
            code="invalid_inputs",
        ),
        "many-loops-of-10,000": Case(
            "",
            pack(
                filled(
                    f"- {{id: m%d, loop: {{items: {items}, maxIterations: 10000, until: index, "
                    f"body: [{{id: s%d, {run}}}]}}}}"
                )
            ),
            code="invalid_inputs",
        ),
    }
