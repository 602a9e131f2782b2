from __future__ import annotations

import pytest

from taskrunner.errors import ForbiddenError, InvalidRequestError
from taskrunner.model.caller import Caller, pools


def a_caller(scope: str = "operator", *tenants: str, grants: tuple[str, ...] = ()) -> Caller:
    return Caller(
        subject="ana", scopes=frozenset({scope}), tenants=tenants, grants=frozenset(grants)
    )


class TestScopes:
    @pytest.mark.parametrize(
        ("scope", "implied"),
        [
            ("viewer", ["viewer"]),
            ("operator", ["viewer", "operator"]),
            ("admin", ["viewer", "operator", "admin"]),
            ("worker", ["worker"]),
            ("openid", []),
        ],
    )
    def test_a_scope_implies_the_scopes_below_it(self, scope: str, implied: list[str]) -> None:
        caller = a_caller(scope)
        scopes = ("viewer", "operator", "admin", "worker", "openid")

        assert [other for other in scopes if caller.may(other)] == implied

    def test_a_caller_without_scopes_may_do_nothing(self) -> None:
        assert not Caller(subject="ana", scopes=frozenset(), tenants=()).may("viewer")


class TestGrants:
    def test_has_the_grants_of_its_token_and_no_others(self) -> None:
        caller = a_caller("viewer", grants=("security.lead",))

        assert caller.has_grant("security.lead")
        assert not caller.has_grant("release.manager")

    @pytest.mark.parametrize(
        ("scope", "has"), [("viewer", False), ("operator", True), ("admin", True)]
    )
    def test_an_operator_may_approve_packs_without_the_grant(
        self, scope: str, *, has: bool
    ) -> None:
        assert a_caller(scope).has_grant("packs.approve") is has


class TestTenant:
    def test_defaults_to_the_only_tenant(self) -> None:
        assert a_caller("operator", "acme").tenant(None, None) == "acme"

    def test_takes_the_tenant_from_any_place(self) -> None:
        caller = a_caller("operator", "acme", "globex")

        assert caller.tenant("globex", None) == "globex"
        assert caller.tenant(None, "acme") == "acme"
        assert caller.tenant("acme", "acme") == "acme"

    def test_requires_a_choice_among_several(self) -> None:
        with pytest.raises(InvalidRequestError, match="choose one"):
            a_caller("operator", "acme", "globex").tenant(None)

    def test_rejects_two_places_that_differ(self) -> None:
        with pytest.raises(InvalidRequestError, match="differ"):
            a_caller("operator", "acme", "globex").tenant("acme", "globex")

    def test_forbids_a_foreign_tenant(self) -> None:
        with pytest.raises(ForbiddenError, match="does not belong to the tenant globex"):
            a_caller("operator", "acme").tenant("globex")

    def test_forbids_a_token_without_a_tenant(self) -> None:
        with pytest.raises(ForbiddenError, match="no tenant"):
            a_caller("operator").tenant(None)

    def test_an_admin_may_choose_any_tenant(self) -> None:
        assert a_caller("admin", "acme").tenant("globex") == "globex"

    @pytest.mark.parametrize("name", ["", "Acme", "-acme", "acme-", "a" * 64, "a#b", "a/b", "acmé"])
    def test_rejects_a_malformed_name_even_for_an_admin(self, name: str) -> None:
        with pytest.raises(InvalidRequestError, match="a tenant's name has 1 to 63"):
            a_caller("admin", "acme").tenant(name)


def a_worker(scope: str = "worker", *tenants: str) -> Caller:
    return Caller(
        subject="build", scopes=frozenset({scope}), tenants=tenants, pools=frozenset({"linux"})
    )


class TestWorkers:
    def test_takes_from_its_pools_alone(self) -> None:
        assert a_worker().may_take_from("linux")
        assert not a_worker().may_take_from("macos")

    @pytest.mark.parametrize("scope", ["viewer", "operator", "admin", "openid"])
    def test_no_other_scope_may_take_from_a_pool(self, scope: str) -> None:
        assert not a_worker(scope).may_take_from("linux")

    def test_serves_all_of_its_tenants_or_the_requested_one(self) -> None:
        worker = a_worker("worker", "acme", "globex")

        assert worker.served_tenants(None) == ("acme", "globex")
        assert worker.served_tenants("globex") == ("globex",)

    @pytest.mark.parametrize("scope", ["worker", "admin"])
    def test_serves_no_tenant_that_it_does_not_belong_to(self, scope: str) -> None:
        with pytest.raises(ForbiddenError, match="does not belong to that tenant"):
            a_worker(scope, "acme").served_tenants("globex")
        with pytest.raises(ForbiddenError, match="does not belong to any tenant"):
            a_worker(scope).served_tenants(None)

    def test_drops_malformed_pools_of_the_registry(self) -> None:
        assert pools(["linux", "Linux", "-x", "a b", 7, ""]) == {"linux"}
        assert pools("linux macos") == {"linux", "macos"}
        assert pools(None) == frozenset()
