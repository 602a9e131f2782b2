"""Claims of tokens. Real keys sign the tokens, and a real HTTP server serves the keys."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.adapters.identity import TokenSettings
from taskrunner.adapters.table_layout import client_key
from tests.unit.adapters.key_server import (
    ISSUER,
    THEIRS,
    Registry,
    a_token,
    an_authority,
    refusal,
)

if TYPE_CHECKING:
    from tests.unit.adapters.key_server import KeyServer


class TestSignedTokens:
    def test_a_valid_token_identifies_its_caller(self, server: KeyServer) -> None:
        caller = an_authority(server).caller(f"Bearer {a_token()}")

        assert caller.subject == "client-1"
        assert caller.scopes == {"operator"}
        assert caller.tenants == ("acme", "globex")
        assert caller.grants == {"security.lead"}

    @pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  "])
    def test_accepts_the_scheme_in_any_case(self, server: KeyServer, scheme: str) -> None:
        assert an_authority(server).caller(scheme + a_token()).subject == "client-1"

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"exp": 1}, "ExpiredSignatureError"),
            ({"exp": None}, "MissingRequiredClaimError"),
            ({"exp": "soon"}, "DecodeError"),
            ({"exp": str(2**33)}, "InvalidTokenError"),
            ({"exp": float("inf")}, "DecodeError"),
            ({"exp": float("nan")}, "DecodeError"),
            ({"exp": True}, "ExpiredSignatureError"),
            ({"exp": [2**33]}, "DecodeError"),
            ({"nbf": "1"}, "InvalidTokenError"),
            ({"nbf": float("inf")}, "DecodeError"),
            ({"iat": "1"}, "InvalidTokenError"),
            ({"iss": "https://issuer.test/other"}, "InvalidIssuerError"),
            ({"iss": ISSUER + "/"}, "InvalidIssuerError"),
            ({"iss": None}, "MissingRequiredClaimError"),
            ({"sub": 7}, "InvalidSubjectError"),
            ({"nbf": 2**33}, "ImmatureSignatureError"),
            ({"iat": 2**33}, "ImmatureSignatureError"),
            ({"token_use": "id"}, "InvalidTokenError"),
        ],
    )
    def test_rejects_invalid_claims(
        self, server: KeyServer, changes: dict[str, Any], reason: str
    ) -> None:
        assert (
            refusal(an_authority(server), a_token(**changes)) == f"the token is not valid: {reason}"
        )

    def test_accepts_clocks_that_differ_by_seconds(self, server: KeyServer) -> None:
        now = int(time.time())

        token = a_token(exp=now - 10, iat=now + 10, nbf=now + 10)

        assert an_authority(server).caller(f"Bearer {token}").subject == "client-1"

    def test_rejects_a_foreign_key_under_a_known_id(self, server: KeyServer) -> None:
        assert refusal(an_authority(server), a_token(THEIRS)).endswith("InvalidSignatureError")

    @pytest.mark.parametrize("kid", ["key-9", None])
    def test_rejects_an_unknown_key(self, server: KeyServer, kid: str | None) -> None:
        assert "not valid" in refusal(an_authority(server), a_token(THEIRS, kid))

    def test_rejects_a_token_without_a_subject(self, server: KeyServer) -> None:
        token = a_token(sub=None, client_id=None)

        assert refusal(an_authority(server), token) == "the token has no subject"

    def test_rejects_the_subject_that_stands_for_the_clock(self, server: KeyServer) -> None:
        assert "reserved" in refusal(an_authority(server), a_token(sub="clock"))

    def test_the_client_id_replaces_a_missing_subject(self, server: KeyServer) -> None:
        assert an_authority(server).caller(f"Bearer {a_token(sub=None)}").subject == "client-1"


class TestAudience:
    @pytest.mark.parametrize(
        "changes",
        [
            {"aud": "taskrunner"},
            {"aud": ["other", "taskrunner"]},
            {"client_id": "taskrunner"},
        ],
    )
    def test_accepts_a_token_for_the_audience(
        self, server: KeyServer, changes: dict[str, Any]
    ) -> None:
        authority = an_authority(server, audience="taskrunner")

        assert authority.caller(f"Bearer {a_token(**changes)}").subject == "client-1"

    @pytest.mark.parametrize(
        "changes",
        [
            {"aud": "other"},
            {"aud": []},
            {"aud": "other taskrunner"},
            {"aud": {"taskrunner": 1}},
            {"aud": "taskrunner/"},
            {"aud": "other", "client_id": "taskrunner"},
            {},
            {"client_id": None},
        ],
    )
    def test_rejects_a_token_for_another_audience(
        self, server: KeyServer, changes: dict[str, Any]
    ) -> None:
        authority = an_authority(server, audience="taskrunner")

        assert refusal(authority, a_token(**changes)).endswith("InvalidAudienceError")


class TestScopes:
    @pytest.mark.parametrize(
        ("changes", "scopes"),
        [
            ({"scope": "taskrunner/viewer"}, {"viewer"}),
            ({"scope": "taskrunner.viewer"}, {"viewer"}),
            ({"scope": "openid taskrunner.viewer taskrunner/admin"}, {"viewer", "admin"}),
            ({"scope": ["taskrunner.operator"]}, {"operator"}),
            ({"scope": None, "scp": "taskrunner.operator"}, {"operator"}),
            ({"scope": None, "scp": ["taskrunner/operator", 7]}, {"operator"}),
            ({"scope": "operator"}, set()),
            ({"scope": "other/operator"}, set()),
            ({"scope": "taskrunner/operators"}, set()),
            ({"scope": "taskrunner/root"}, set()),
            ({"scope": 7}, set()),
            ({"scope": None}, set()),
        ],
    )
    def test_recognises_two_forms_of_a_scope_and_no_others(
        self, server: KeyServer, changes: dict[str, Any], scopes: set[str]
    ) -> None:
        assert an_authority(server).caller(f"Bearer {a_token(**changes)}").scopes == scopes


class TestTenantsAndGrants:
    @pytest.mark.parametrize(
        ("claim", "tenants"),
        [
            ("acme", ("acme",)),
            ("acme globex", ("acme", "globex")),
            (["a", "b"], ("a", "b")),
            (7, ()),
        ],
    )
    def test_reads_the_tenants_from_the_claim(
        self, server: KeyServer, claim: object, tenants: tuple[str, ...]
    ) -> None:
        authority = an_authority(server, tenant_claim="org", default_tenant="main")

        assert authority.caller(f"Bearer {a_token(org=claim)}").tenants == tenants

    def test_a_token_without_the_tenant_claim_belongs_to_no_tenant(self, server: KeyServer) -> None:
        authority = an_authority(server, tenant_claim="org", default_tenant="main")

        assert authority.caller(f"Bearer {a_token()}").tenants == ()

    def test_reads_the_tenants_from_the_registry_without_a_claim(self, server: KeyServer) -> None:
        authority = an_authority(server, default_tenant="main")

        caller = authority.caller(f"Bearer {a_token(sub='x', client_id='client-2')}")

        assert (caller.tenants, caller.grants) == (("initech",), frozenset())
        assert caller.name is None

    @pytest.mark.parametrize(
        ("client", "name"),
        [
            ("client-5", "nightly build"),
            ("client-6", None),
            ("client-7", None),
            ("client-8", None),
        ],
    )
    def test_takes_a_clients_name_from_the_registry_and_from_no_claim(
        self, server: KeyServer, client: str, name: str | None
    ) -> None:
        token = a_token(client_id=client, name="root", username="root")

        assert an_authority(server).caller(f"Bearer {token}").name == name

    @pytest.mark.parametrize(
        ("client", "tenants", "grants"),
        [
            ("client-3", {"acme", "globex"}, {"security.lead", "packs.approve"}),
            ("client-4", {"acme", "globex"}, {"security.lead"}),
            ("client-5", set(), set()),
        ],
    )
    def test_reads_registry_entries_in_every_form_of_a_claim(
        self, server: KeyServer, client: str, tenants: set[str], grants: set[str]
    ) -> None:
        """A text is split into words. Its characters could be names of tenants, too."""
        caller = an_authority(server).caller(f"Bearer {a_token(client_id=client)}")

        assert (set(caller.tenants), set(caller.grants)) == (tenants, grants)

    def test_an_unregistered_client_has_the_default_tenant(self, server: KeyServer) -> None:
        token = f"Bearer {a_token(client_id='client-9')}"

        assert an_authority(server, default_tenant="main").caller(token).tenants == ("main",)
        assert an_authority(server).caller(token).tenants == ()

    def test_reads_the_grants_from_the_claim(self, server: KeyServer) -> None:
        authority = an_authority(server, grants_claim="may")

        caller = authority.caller(f"Bearer {a_token(may='packs.approve release.manager')}")

        assert caller.grants == {"packs.approve", "release.manager"}

    def test_ignores_claims_that_no_setting_names(self, server: KeyServer) -> None:
        token = a_token(grants="everything", tenants="initech", client_id="client-9")

        caller = an_authority(server).caller(f"Bearer {token}")

        assert (caller.tenants, caller.grants) == ((), frozenset())

    def test_does_not_read_the_registry_if_claims_replace_it(self, server: KeyServer) -> None:
        registry = Registry()
        authority = an_authority(server, registry, tenant_claim="org", grants_claim="may")

        authority.caller(f"Bearer {a_token(org='acme')}")

        assert registry.reads == []

    def test_does_not_read_the_registry_for_a_rejected_token(self, server: KeyServer) -> None:
        registry = Registry()

        refusal(an_authority(server, registry), a_token(exp=1))

        assert registry.reads == []

    @pytest.mark.parametrize(
        ("claim", "tenants"),
        [
            (["acme", "acme"], ("acme",)),
            (["acme#R#run-1", "acme/runs", "Acme", "", "acme "], ()),
            ("acme ../globex", ("acme",)),
        ],
    )
    def test_drops_malformed_tenants(
        self, server: KeyServer, claim: object, tenants: tuple[str, ...]
    ) -> None:
        authority = an_authority(server, tenant_claim="org")

        assert authority.caller(f"Bearer {a_token(org=claim)}").tenants == tenants


class TestGrantsOfScopes:
    @pytest.mark.parametrize(
        ("scope", "grants"),
        [
            ("packs.approve", {"packs.approve"}),
            ("taskrunner/packs.approve", {"packs.approve", "taskrunner/packs.approve"}),
            ("taskrunner.packs.approve", {"packs.approve", "taskrunner.packs.approve"}),
            ("other/packs.approve", {"other/packs.approve"}),
            (["security.lead", "two words"], {"security.lead"}),
            ("viewer operator admin worker", set()),
            ("taskrunner/admin taskrunner.operator taskrunner.worker", set()),
            ("taskrunner/taskrunner.admin", {"taskrunner/taskrunner.admin"}),
        ],
    )
    def test_every_scope_beside_those_of_the_service_is_a_grant(
        self, server: KeyServer, scope: object, grants: set[str]
    ) -> None:
        token = a_token(scope=scope, client_id="client-9")

        assert an_authority(server).caller(f"Bearer {token}").grants == grants

    def test_a_grant_is_never_a_scope(self, server: KeyServer) -> None:
        authority = an_authority(server, grants_claim="may")
        token = a_token(scope="packs.approve", may=["admin", "taskrunner/admin"])

        assert authority.caller(f"Bearer {token}").scopes == frozenset()

    def test_adds_them_to_the_grants_of_the_claim_or_the_registry(self, server: KeyServer) -> None:
        token = a_token(scope="packs.approve", may=["release.manager"])

        from_claim = an_authority(server, grants_claim="may").caller(f"Bearer {token}")
        from_registry = an_authority(server).caller(f"Bearer {token}")

        assert from_claim.grants == {"packs.approve", "release.manager"}
        assert from_registry.grants == {"packs.approve", "security.lead"}

    def test_a_grant_with_spaces_is_not_two_grants(self, server: KeyServer) -> None:
        authority = an_authority(server, grants_claim="may")

        assert authority.caller(f"Bearer {a_token(may=['security lead'])}").grants == frozenset()


class TestPools:
    def test_a_worker_has_the_pools_of_the_registry(self, server: KeyServer) -> None:
        table = Registry({client_key("client-1"): {"tenants": ["acme"], "pools": ["linux", "-x"]}})
        token = a_token(scope="taskrunner/worker")

        caller = an_authority(server, table).caller(f"Bearer {token}")

        assert caller.scopes == {"worker"}
        assert caller.pools == {"linux"}

    def test_no_claim_names_pools_or_replaces_the_entry_that_does(self, server: KeyServer) -> None:
        table = Registry({client_key("client-1"): {"tenants": ["globex"], "pools": ["linux"]}})
        token = a_token(scope="taskrunner/worker", pools=["macos"], org="acme", may="a")

        authority = an_authority(server, table, tenant_claim="org", grants_claim="may")
        caller = authority.caller(f"Bearer {token}")

        assert caller.pools == {"linux"}
        assert caller.tenants == ("acme",)
        assert caller.grants == {"a"}

    def test_a_client_without_an_entry_has_no_pools(self, server: KeyServer) -> None:
        token = a_token(scope="taskrunner/worker", client_id="client-9")
        authority = an_authority(server, Registry({}), default_tenant="acme")

        assert authority.caller(f"Bearer {token}").pools == frozenset()


def test_the_caller_has_the_end_of_its_token(server: KeyServer) -> None:
    end = int(time.time()) + 77

    assert an_authority(server).caller(f"Bearer {a_token(exp=end - 0.5)}").expires_at == end


@pytest.mark.parametrize("algorithms", [(), ("none",), ("HS256",), ("RS256", "HS512"), ("RS384",)])
def test_rejects_settings_with_an_algorithm_that_others_could_sign_by(
    algorithms: tuple[str, ...],
) -> None:
    with pytest.raises(ValueError, match="algorithms must be of RS256"):
        TokenSettings(issuer=ISSUER, jwks_url="https://issuer.test", algorithms=algorithms)
