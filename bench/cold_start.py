"""Measure what the imports of a cold start cost, per function, as multiples of `import boto3`.

    .venv/bin/python bench/cold_start.py [ROUNDS]

Each round starts a fresh interpreter per function with Lambda's PYTHONPATH and `-X importtime`, and
adds up the time of every module itself: first for the function's own import, then with the ports
that its first event uses (tests/architecture/ports.py). The cheapest round counts, so that a busy
machine does not make a function look slow. Results are multiples, because Lambda's processor
differs from this one. Their unit is boto3, because every function that calls AWS imports it.

Python's own start, the making of a client and the first connection are not counted. The test
tests/architecture/test_imports.py says what a function may import at all.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.architecture.ports import USED  # noqa: E402 - the folder above is not a package

ROUNDS = 5
SHOWN = 4
LINE = re.compile(r"import time: +(\d+) \| +\d+ \| +(\S+)")
PORTS = """
import app, sys
from taskrunner.bootstrap import AwsWorld
names = "TABLE_NAME BUCKET_NAME PACK_RUN_MACHINE_ARN MACHINE_PREFIX ISSUER JWKS_URL".split()
names += "EXECUTOR_PREFIX SECRET_PREFIX EVIDENCE_KEY_ARN APPROVAL_TOPIC_ARN".split()
world = AwsWorld(dict.fromkeys(names, "https://a"))
for port in sys.argv[1:]:
    getattr(world, port)
"""

Cost = Counter[str]  # microseconds by package


def cost(source: str, function: str = "", ports: frozenset[str] = frozenset()) -> Cost:
    """Return the microseconds that *source* spends on imports, by top-level package."""
    done = subprocess.run(  # noqa: S603 - every word is ours
        [sys.executable, "-X", "importtime", "-c", source, *sorted(ports)],
        env={
            "PYTHONPATH": f"{ROOT}/functions/{function}:{ROOT}/layers/core/python",
            "AWS_DEFAULT_REGION": "us-east-1",
        },
        check=True,
        capture_output=True,
        text=True,
    )
    spent: Cost = Counter()
    for microseconds, module in LINE.findall(done.stderr):
        spent[module.partition(".")[0]] += int(microseconds)
    return spent


def least(rounds: list[Cost], start: Cost) -> Cost:
    """Return the cheapest round, without what Python itself imports to start."""
    found = min(rounds, key=Counter.total)
    return Counter({name: spent for name, spent in found.items() if name not in start})


def main(rounds: int) -> None:
    """Measure every function *rounds* times, and print a table."""
    start = cost("pass")
    boto3: list[Cost] = []
    imported: dict[str, list[Cost]] = {function: [] for function in USED}
    with_ports: dict[str, list[Cost]] = {function: [] for function in USED}
    for _ in range(rounds):
        boto3.append(cost("import boto3"))
        for function, ports in USED.items():
            imported[function].append(cost("import app", function))
            with_ports[function].append(cost(PORTS if ports else "import app", function, ports))
    unit = least(boto3, start).total()
    print(f"{'function':<16} {'import':>6} {'+ports':>6}   most of it")
    for function in USED:
        whole = least(with_ports[function], start)
        most = ", ".join(f"{name} {spent / unit:.2f}" for name, spent in whole.most_common(SHOWN))
        import_alone = least(imported[function], start).total()
        print(f"{function:<16} {import_alone / unit:6.2f} {whole.total() / unit:6.2f}   {most}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
