"""No pack takes long or much memory, and each ends in a plan or a list of problems.

All cases run in one process with limits, so that a case that blows up fails here and harms nothing.
Their cost is compared with that of an ordinary pack of 500 steps in the same process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest

from tests.security.hostile.manifests import cases
from tests.template import ROOT

if TYPE_CHECKING:
    from tests.security.hostile.case import Case

YARDSTICK = "yardstick"
_PATIENCE_S = 1100  # of all cases together, which take a minute
# The costliest case takes about 40 yardsticks, which is 2 seconds; a processor that begins to do
# other work between the two may need twice as long for one. A blow-up takes thousands.
_MOST_YARDSTICKS = 200
# Python and the compiler take 110 MiB, and the values in a request may take as much.
_MOST_PEAK_KIB = 320 * 1024


@pytest.fixture(name="measured", scope="module")
def _measured() -> dict[str, dict[str, Any]]:
    path = os.pathsep.join(
        [*(str(ROOT / part) for part in ("layers/core/python", "cli")), str(ROOT)]
    )
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "tests.security.hostile.bounded", *(case.name for case in cases())],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        check=False,
    )
    costs = [json.loads(line) for line in done.stdout.splitlines()]
    last = costs[-1]["name"] if costs else "nothing"
    assert done.returncode == 0, (
        f"ended with {done.returncode} after {last}:\n{done.stderr[-2000:]}"
    )
    # The yardstick is short, so one measurement of it may be far off.
    yardsticks = [cost["cpuS"] for cost in costs if cost["name"] == YARDSTICK]
    measured = {cost["name"]: cost for cost in costs}
    measured[YARDSTICK]["cpuS"] = median(yardsticks)
    return measured


@pytest.mark.parametrize("case", cases(), ids=str)
def test_answers_a_hostile_pack_quickly_and_in_little_memory(
    case: Case,
    measured: dict[str, dict[str, Any]],
) -> None:
    cost = measured[case.name]

    assert cost["outcome"] == (case.code if case.refused else "planned"), cost["message"]
    assert cost["cpuS"] < _MOST_YARDSTICKS * measured[YARDSTICK]["cpuS"]
    assert cost["peakKiB"] < _MOST_PEAK_KIB
