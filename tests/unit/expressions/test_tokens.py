"""Quotes and hyphenated names in the text of an expression."""

from __future__ import annotations

import pytest

from taskrunner import expressions
from taskrunner.expressions import ExpressionError, tokens


@pytest.mark.parametrize("quote", ["'", '"', "`"])
def test_a_quote_that_is_never_closed_takes_the_rest_as_one_token(quote: str) -> None:
    open_to_the_end = f"a || {quote}" + f"\\{quote}" * 2_000

    assert len(list(tokens.TOKENS.finditer(open_to_the_end))) == 2
    with pytest.raises(ExpressionError, match="not a valid expression"):
        expressions.parse(open_to_the_end)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("steps.my-step.outputs", 'steps."my-step".outputs'),
        ("steps.2nd.outputs", 'steps."2nd".outputs'),
        ("'my-step' == \"my-step\"", "'my-step' == \"my-step\""),
        ("a[-1]", "a[-1]"),
    ],
)
def test_quotes_hyphenated_names_outside_of_quotes(text: str, quoted: str) -> None:
    assert tokens.with_hyphens_quoted(text) == quoted
