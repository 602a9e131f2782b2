"""ManagedSecrets interprets Secrets Manager's answers, and caches values for half a minute."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import botocore.exceptions
import pytest

from taskrunner.adapters.secrets import ManagedSecrets
from taskrunner.errors import SecretError, TryAgainError


@dataclass
class Store:
    """A Secrets Manager client with *answers* by the full name; *requested* lists the names."""

    answers: dict[str, Any] = field(default_factory=dict)
    requested: list[str] = field(default_factory=list)
    now_s: float = 1000.0

    def get_secret_value(self, *, SecretId: str) -> dict[str, Any]:  # noqa: N803 - AWS's
        self.requested.append(SecretId)
        answer = self.answers.get(SecretId, "ResourceNotFoundException")
        if isinstance(answer, str):
            error = {"Error": {"Code": answer, "Message": f"arn:aws:secret {SecretId}"}}
            raise botocore.exceptions.ClientError(error, "GetSecretValue")
        return dict(answer)

    @property
    def secrets(self) -> ManagedSecrets:
        return ManagedSecrets(self, "stack/", lambda: self.now_s)


def text(value: str) -> dict[str, str]:
    return {"SecretString": value}


def refusal(store: Store, tenant: str = "acme", name: str = "token") -> str:
    with pytest.raises(SecretError) as error:
        store.secrets.values(tenant, [name])
    return str(error.value)


def test_a_secret_is_read_by_prefix_tenant_and_name() -> None:
    store = Store({"stack/acme/token": text("first-secret")})

    assert store.secrets.values("acme", ["token"]) == {"token": "first-secret"}
    assert store.requested == ["stack/acme/token"]


@pytest.mark.parametrize(
    ("tenant", "name"),
    [
        ("acme/other", "token"),
        ("acme", "other/token"),
        ("", "token"),
        ("acme", ""),
        ("..", "token"),
        ("acme*", "token"),
        ("acme\n", "token"),
        ("arn:aws:secretsmanager:x", "token"),
    ],
)
def test_a_name_that_could_belong_to_another_tenant_is_never_looked_up(
    tenant: str, name: str
) -> None:
    store = Store()

    assert refusal(store, tenant, name).startswith(f"'{name}' cannot be the name of a secret")
    assert store.requested == []


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            "ResourceNotFoundException",
            "there is no secret 'token'; store it in Secrets Manager as stack/acme/token",
        ),
        (
            "InvalidRequestException",  # it is scheduled for deletion
            "there is no secret 'token'; store it in Secrets Manager as stack/acme/token",
        ),
        ("AccessDeniedException", "the secret 'token' may not be read: AccessDeniedException"),
        ("DecryptionFailure", "the secret 'token' may not be read: DecryptionFailure"),
        ({"SecretBinary": b"12345678"}, "the secret 'token' is binary; store it as text"),
        (text(""), "the secret 'token' is empty"),
        (text("1234567"), "the secret 'token' has 7 characters, and at least 8 are needed"),
    ],
)
def test_a_secret_that_cannot_be_used_is_reported_by_name_only(answer: Any, message: str) -> None:  # noqa: ANN401
    assert refusal(Store({"stack/acme/token": answer})) == message


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServiceError"])
def test_a_busy_store_may_be_tried_again(code: str) -> None:
    store = Store({"stack/acme/token": code})

    with pytest.raises(TryAgainError):
        store.secrets.values("acme", ["token"])


def test_an_unknown_client_error_is_raised_unchanged() -> None:
    store = Store({"stack/acme/token": "InvalidParameterException"})

    with pytest.raises(botocore.exceptions.ClientError):
        store.secrets.values("acme", ["token"])


class TestCache:
    def test_a_value_is_cached_for_half_a_minute(self) -> None:
        store = Store({"stack/acme/token": text("first-secret")})
        secrets = store.secrets
        secrets.values("acme", ["token"])
        store.answers["stack/acme/token"] = text("second-secret")

        store.now_s += 29.9
        assert secrets.values("acme", ["token"]) == {"token": "first-secret"}
        store.now_s += 0.2
        assert secrets.values("acme", ["token"]) == {"token": "second-secret"}

    def test_the_cache_separates_tenants(self) -> None:
        store = Store({"stack/acme/token": text("first-secret")})
        secrets = store.secrets
        secrets.values("acme", ["token"])

        with pytest.raises(SecretError):
            secrets.values("globex", ["token"])

    def test_a_secret_that_cannot_be_used_is_not_cached(self) -> None:
        store = Store({"stack/acme/token": text("short")})
        secrets = store.secrets
        with pytest.raises(SecretError):
            secrets.values("acme", ["token"])
        store.answers["stack/acme/token"] = text("long enough")

        assert secrets.values("acme", ["token"]) == {"token": "long enough"}

    def test_the_cache_is_bounded(self) -> None:
        names = [f"n{number}" for number in range(1000)]
        store = Store({f"stack/acme/{name}": text(f"secret-{name}") for name in names})
        secrets = store.secrets

        values = secrets.values("acme", names)

        assert values == {name: f"secret-{name}" for name in names}
        assert len(secrets._cache) <= 100

    def test_the_repr_does_not_show_a_value(self) -> None:
        secrets = Store({"stack/acme/token": text("first-secret")}).secrets
        secrets.values("acme", ["token"])

        assert "first-secret" not in repr(secrets)
