"""The costs that docs/aws.md states, and the prices that they follow from."""

from __future__ import annotations

import re
from typing import Final

from tests.template import ROOT

PAGE: Final = (ROOT / "docs/aws.md").read_text(encoding="utf-8")
# $ in us-east-1, from the price lists of the services; a GB-s is that of x86_64.
PRICES: Final = {
    "state transitions of Step Functions": 0.025 / 1000,
    "invocations of functions": 0.20 / 1_000_000,
    "their time, in GB-s": 0.0000166667,
    "write units of DynamoDB": 0.625 / 1_000_000,
    "read units of DynamoDB": 0.125 / 1_000_000,
    "objects put into S3": 0.005 / 1000,
    "signatures of KMS": 0.15 / 10_000,
    "requests to the API": 3.50 / 1_000_000,
}
# The page assumes that each call of a function takes this long.
CALL_S: Final = 0.1
MINUTES_OF_A_MONTH: Final = 30 * 24 * 60


def table(first_header: str) -> dict[str, tuple[float, float]]:
    """Return the count and the sum of each row of the page's table with that first header."""
    _, _, rest = PAGE.partition(first_header)
    rows = re.findall(
        r"^\| (.+?) \| ([\d.,]+) \| ([\d.]+) \|$", rest.partition("\n\n")[0], re.MULTILINE
    )
    return {name: (float(count.replace(",", "")), float(sum_)) for name, count, sum_ in rows}


def sums_in(text: str, words: str) -> list[str]:
    """Return each sum that *text* states after *words*, without its sign of the dollar."""
    in_one_line = " ".join(text.split())
    return re.findall(re.escape(words) + r" \$(\d+\.\d+)", in_one_line)
