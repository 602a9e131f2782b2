"""Header, body and token must agree: every combination of them, against the rule said otherwise."""

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


def answered(header: str | None, body: str | None, tenants: tuple[str, ...], scope: str) -> str:
    caller = Caller(subject="ana", scopes=frozenset({scope}), tenants=tenants)
    try:
        return caller.tenant(header, body)
    except InvalidRequestError:
        return "400"
    except ForbiddenError:
        return "403"


def expected(header: str | None, body: str | None, tenants: tuple[str, ...], scope: str) -> str:
    """The issue's sentence, place by place."""
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
def test_every_combination_is_answered_by_the_rule(tenants: tuple[str, ...], scope: str) -> None:
    wrong = {
        (header, body): answered(header, body, tenants, scope)
        for header, body in itertools.product(PLACES, repeat=2)
        if answered(header, body, tenants, scope) != expected(header, body, tenants, scope)
    }
    assert wrong == {}


@pytest.mark.parametrize(
    "alike",
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
def test_what_looks_like_a_tenant_is_none(alike: str, scope: str) -> None:
    assert answered(alike, None, ("acme",), scope) == "400"
    assert answered(None, alike, ("acme",), scope) == "400"
    assert answered("acme", alike, ("acme",), scope) == "400"
    assert not is_tenant(alike)


@given(name=st.text(max_size=70))
def test_a_tenants_name_is_safe_in_a_key_a_prefix_and_a_path(name: str) -> None:
    if is_tenant(name):
        assert not set(name) & set("#/%. \\\n\x00")
        assert name.isascii()
        assert name == name.lower()
        assert 1 <= len(name) <= 63
