from __future__ import annotations

import pytest

from taskrunner.errors import ForbiddenError, InvalidRequestError
from taskrunner.model.caller import Caller


def a_caller(scope: str = "operator", *tenants: str, grants: tuple[str, ...] = ()) -> Caller:
    return Caller(
        subject="ana", scopes=frozenset({scope}), tenants=tenants, grants=frozenset(grants)
    )


class TestScopes:
    @pytest.mark.parametrize(
        ("own", "may"),
        [
            ("viewer", ["viewer"]),
            ("operator", ["viewer", "operator"]),
            ("admin", ["viewer", "operator", "admin"]),
            ("openid", []),
        ],
    )
    def test_a_scope_implies_those_below_it(self, own: str, may: list[str]) -> None:
        caller = a_caller(own)

        assert [one for one in ("viewer", "operator", "admin", "openid") if caller.may(one)] == may

    def test_without_scopes_nothing_is_allowed(self) -> None:
        assert not Caller(subject="ana", scopes=frozenset(), tenants=()).may("viewer")


class TestGrants:
    def test_a_grant_is_carried_or_not(self) -> None:
        caller = a_caller("viewer", grants=("security.lead",))

        assert caller.has_grant("security.lead")
        assert not caller.has_grant("release.manager")

    @pytest.mark.parametrize(
        ("scope", "has"), [("viewer", False), ("operator", True), ("admin", True)]
    )
    def test_approving_packs_comes_with_being_an_operator(self, scope: str, *, has: bool) -> None:
        assert a_caller(scope).has_grant("packs.approve") is has


class TestTenant:
    def test_the_only_tenant_need_not_be_named(self) -> None:
        assert a_caller("operator", "acme").tenant(None, None) == "acme"

    def test_one_of_several_is_chosen_in_any_place(self) -> None:
        caller = a_caller("operator", "acme", "globex")

        assert caller.tenant("globex", None) == "globex"
        assert caller.tenant(None, "acme") == "acme"
        assert caller.tenant("acme", "acme") == "acme"

    def test_one_of_several_must_be_chosen(self) -> None:
        with pytest.raises(InvalidRequestError, match="choose one"):
            a_caller("operator", "acme", "globex").tenant(None)

    def test_two_places_must_agree(self) -> None:
        with pytest.raises(InvalidRequestError, match="differ"):
            a_caller("operator", "acme", "globex").tenant("acme", "globex")

    def test_a_foreign_tenant_is_forbidden(self) -> None:
        with pytest.raises(ForbiddenError, match="does not belong to the tenant globex"):
            a_caller("operator", "acme").tenant("globex")

    def test_no_tenant_is_forbidden(self) -> None:
        with pytest.raises(ForbiddenError, match="no tenant"):
            a_caller("operator").tenant(None)

    def test_an_admin_may_name_any(self) -> None:
        assert a_caller("admin", "acme").tenant("globex") == "globex"

    @pytest.mark.parametrize("name", ["", "Acme", "-acme", "acme-", "a" * 64, "a#b", "a/b", "acmé"])
    def test_a_name_that_no_tenant_has_is_malformed_even_for_an_admin(self, name: str) -> None:
        with pytest.raises(InvalidRequestError, match="a tenant matches"):
            a_caller("admin", "acme").tenant(name)
