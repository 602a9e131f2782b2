"""Replay every case, or those of some scenarios: `python -m tests.faults.run ["every block" ...]`.

A process for each processor. The cases are those that recording finds, none is left out, and their
number comes first. Each case that goes wrong is printed with what is wrong.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING, Final

from tests.faults.scenarios import FUNCTIONS, SCENARIOS, SECRETS
from tests.faults.service import service
from tests.faults.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.faults.faults import Case

_PROGRESS: Final = 500

_open = ExitStack()
_sweeps: list[Sweep] = []


def _begin() -> None:
    """Set a process up: one service for all of its cases.

    The functions log their faults and print metrics, which would hide what this prints.
    """
    logging.disable()
    _open.enter_context(redirect_stdout(StringIO()))
    _sweeps.append(Sweep(_open.enter_context(service(SECRETS, FUNCTIONS))))


def _cases(scenario: str) -> tuple[list[Case], str]:
    """The cases of a scenario; or none, and what is wrong with it without a fault."""
    try:
        return list(_sweeps[0].record(scenario).cases()), ""
    except AssertionError as error:
        return [], str(error)


def _replay(case: Case) -> tuple[Case, list[str]]:
    return case, _sweeps[0].replay(case)


def run(scenarios: Iterable[str]) -> int:
    """Replay every case of *scenarios*; return how many go wrong."""
    with ProcessPoolExecutor(os.cpu_count(), initializer=_begin) as pool:
        recorded = list(pool.map(_cases, scenarios))
        cases = [case for found, _ in recorded for case in found]
        counts = Counter(case.scenario for case in cases)
        _print(f"{len(cases)} cases: {', '.join(f'{n} {name}' for name, n in counts.items())}")
        wrong = [problem for _, problem in recorded if problem]
        for problem in wrong:
            _print(problem)
        for done, (case, problems) in enumerate(pool.map(_replay, cases, chunksize=8), 1):
            if done % _PROGRESS == 0:
                _print(f"{done} replayed")
            if problems:
                wrong.append(str(case))
                _print(f"{case}: {'; '.join(problems)}")
    return len(wrong)


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a command's output


if __name__ == "__main__":
    began = time.monotonic()
    if unknown := [name for name in sys.argv[1:] if name not in SCENARIOS]:
        sys.exit(f"error: no scenario {unknown[0]!r}; there are: {', '.join(SCENARIOS)}")
    number = run(sys.argv[1:] or SCENARIOS)
    _print(f"{number} go wrong ({(time.monotonic() - began) / 60:.0f} minutes)")
    sys.exit(min(number, 1))
