"""Run every case, or those of some scenarios: `python -m tests.faults.run ["every block" ...]`.

A process for each processor. The cases are those that recording finds, none is left out, and their
number comes first. Each case that goes wrong is printed with what is wrong.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections import Counter
from contextlib import redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING, Final

from tests.faults.scenarios import FUNCTIONS, SCENARIOS, SECRETS
from tests.faults.service import service
from tests.faults.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.faults.faults import Case

_PROGRESS: Final = 500


class _Results:
    """The cases that have ended: how many there are, and how many went wrong."""

    def __init__(self) -> None:
        self.wrong = 0
        self._done = 0

    def problem(self, text: str) -> None:
        """Count and print something that is wrong."""
        self.wrong += 1
        _print(text)

    def take(self, case: Case, problems: list[str]) -> None:
        """Take the problems of a case."""
        self._done += 1
        if problems:
            self.problem(f"{case}: {'; '.join(problems)}")
        if self._done % _PROGRESS == 0:
            _print(f"{self._done} cases run")


def run(scenarios: Iterable[str]) -> int:
    """Run every case of *scenarios*; return how many go wrong."""
    results = _Results()
    # The functions log their faults and print metrics, which would hide what this prints.
    logging.disable()
    with redirect_stdout(StringIO()), service(SECRETS, FUNCTIONS) as running:
        sweep = Sweep(running)
        cases = [case for scenario in scenarios for case in _cases(sweep, scenario, results)]
        counts = Counter(case.scenario for case in cases)
        _print(f"{len(cases)} cases: {', '.join(f'{n} {name}' for name, n in counts.items())}")
        sweep.run(cases, results.take, most=os.cpu_count() or 1)
    return results.wrong


def _cases(sweep: Sweep, scenario: str, results: _Results) -> list[Case]:
    """Return the cases of a scenario; none if it goes wrong without a fault."""
    try:
        return list(sweep.record(scenario).cases())
    except AssertionError as error:
        results.problem(str(error))
        return []


def _print(line: str) -> None:
    print(line, file=sys.__stdout__, flush=True)


if __name__ == "__main__":
    began = time.monotonic()
    if unknown := [name for name in sys.argv[1:] if name not in SCENARIOS]:
        sys.exit(f"error: no scenario {unknown[0]!r}; there are: {', '.join(SCENARIOS)}")
    number = run(sys.argv[1:] or SCENARIOS)
    _print(f"{number} go wrong ({(time.monotonic() - began) / 60:.0f} minutes)")
    sys.exit(min(number, 1))
