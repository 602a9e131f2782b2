"""Header, body and token must agree: every combination, compared with the rule written anew."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.errors import ForbiddenError, InvalidRequestError
from taskrunner.model.caller import Caller, is_tenant

PLACES = (None, "acme", "globex", "initech", "", "Acme")
TOKENS = ((), ("acme",), ("globex",), ("acme", "globex"))
SCOPES = ("viewer", "operator", "admin")


def answer(header: str | None, body: str | None, tenants: tuple[str, ...], scope: str) -> str:
    caller = Caller(subject="ana", scopes=frozenset({scope}), tenants=tenants)
    try:
        return caller.tenant(header, body)
    except InvalidRequestError:
        return "400"
    except ForbiddenError:
        return "403"


def expected(header: str | None, body: str | None, tenants: tuple[str, ...], scope: str) -> str:
    """The rule, one place after the other."""
    if header is not None and body is not None and header != body:
        return "400"
    named = header if header is not None else body
    if named is None:
        return tenants[0] if len(tenants) == 1 else ("400" if tenants else "403")
    if named in ("", "Acme"):
        return "400"
    return named if named in tenants or scope == "admin" else "403"


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("tenants", TOKENS)
def test_every_combination_follows_the_rule(tenants: tuple[str, ...], scope: str) -> None:
    wrong = {
        (header, body): answer(header, body, tenants, scope)
        for header, body in itertools.product(PLACES, repeat=2)
        if answer(header, body, tenants, scope) != expected(header, body, tenants, scope)
    }
    assert wrong == {}


@pytest.mark.parametrize(
    "name",
    [
        "аcme",  # noqa: RUF001 - a Cyrillic letter
        "acm\u00e9",
        "ａｃｍｅ",  # noqa: RUF001 - full width
        "acme\u200b",
        "acme ",
        " acme",
        "acme\n",
        "acme\x00",
        "ACME",
        "acme,globex",
        "acme#R#run-1",
        "acme/runs",
        "..",
        "%61cme",
        "a" * 64,
    ],
)
@pytest.mark.parametrize("scope", SCOPES)
def test_rejects_a_name_that_only_looks_like_a_tenant(name: str, scope: str) -> None:
    assert answer(name, None, ("acme",), scope) == "400"
    assert answer(None, name, ("acme",), scope) == "400"
    assert answer("acme", name, ("acme",), scope) == "400"
    assert not is_tenant(name)


@given(name=st.text(max_size=70))
def test_a_valid_name_is_safe_in_keys_prefixes_and_paths(name: str) -> None:
    if is_tenant(name):
        assert not set(name) & set("#/%. \\\n\x00")
        assert name.isascii()
        assert name == name.lower()
        assert 1 <= len(name) <= 63
