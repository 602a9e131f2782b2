"""Measure planning and compiling a pack, as multiples of parsing its text with libyaml.

    .venv/bin/python bench/planning.py [ROUNDS]

Both are processor time of this process, in turn; the medians count. Parsing with libyaml is the
least that any reader of the pack does. Each round has an input of its own, because a process keeps
expressions that it has parsed.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "layers/core/python")]

from taskrunner.compiler.driver import compile_pack  # noqa: E402 - needs the path above
from taskrunner.model.ceilings import NO_CEILINGS  # noqa: E402 - the same

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = (10, 100, 1000)
ROUNDS = 7
STEP = """\
    - id: s{0}
      name: Step {0}
      run: {{uses: builtin:noop, with: {{region: "{{{{ inputs.region{1} }}}}-{0}", number: {0}}}}}
"""


def manifest(steps: int, number: int = 0) -> str:
    """Return a pack of *steps* steps, one after the other; *number* is in its input's name."""
    head = "apiVersion: stellaops.io/pack.v1\nkind: TaskPack\n"
    head += "metadata: {name: planning, version: 1.0.0}\nspec:\n"
    head += f"  inputs: [{{name: region{number}, type: string, default: eu}}]\n  steps:\n"
    return head + "".join(STEP.format(step, number) for step in range(steps))


def cpu_s(work: Callable[[], object]) -> float:
    """Return the processor time that *work* takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def ratio(steps: int, rounds: int) -> float:
    """Return the median of the ratios of planning to parsing."""

    def pair(number: int) -> float:
        text = manifest(steps, number)
        planned_s = cpu_s(lambda: compile_pack(text, {}, NO_CEILINGS))
        return planned_s / cpu_s(lambda: yaml.load(text, Loader=yaml.CSafeLoader))

    pair(0)  # imports what is imported on first use
    return statistics.median(pair(number) for number in range(1, rounds + 1))


def main(rounds: int) -> None:
    """Measure, and print the results."""
    for steps in SIZES:
        print(f"{steps} steps: planning takes {ratio(steps, rounds):.1f} times libyaml's parsing")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
