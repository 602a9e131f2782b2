"""Measure planning and compiling a pack, as multiples of parsing its text with libyaml.

    .venv/bin/python bench/planning.py [ROUNDS]

Both are processor time of this process, in turn; the medians count. Parsing with libyaml is the
least that any reader of the pack does.
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
      run: {{uses: 'builtin:noop', with: {{region: "{{{{ inputs.region }}}}", number: {0}}}}}
"""


def manifest(steps: int) -> str:
    """Return a pack of *steps* steps, one after the other."""
    head = "apiVersion: stellaops.io/pack.v1\nkind: TaskPack\n"
    head += "metadata: {name: planning, version: 1.0.0}\nspec:\n"
    head += "  inputs: [{name: region, type: string, default: eu}]\n  steps:\n"
    return head + "".join(STEP.format(number) for number in range(steps))


def cpu_s(work: Callable[[], object]) -> float:
    """Return the processor time that *work* takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def ratio(steps: int, rounds: int) -> float:
    """Return the median of the ratios of planning to parsing."""
    text = manifest(steps)

    def plan() -> None:
        compile_pack(text, {}, NO_CEILINGS)

    def parse() -> None:
        yaml.load(text, Loader=yaml.CSafeLoader)

    plan(), parse()
    return statistics.median(cpu_s(plan) / cpu_s(parse) for _ in range(rounds))


def main(rounds: int) -> None:
    """Measure, and print the results."""
    for steps in SIZES:
        print(f"{steps} steps: planning takes {ratio(steps, rounds):.1f} times libyaml's parsing")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
