"""What Secrets Manager's answers mean, and how long they are remembered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import botocore.exceptions
import pytest

from taskrunner.adapters.secrets import ManagedSecrets
from taskrunner.errors import SecretError, TryAgainError


@dataclass
class Store:
    """A client of Secrets Manager; *answers* by the whole name, and what was *asked* for."""

    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    now_s: float = 1000.0

    def get_secret_value(self, *, SecretId: str) -> dict[str, Any]:  # noqa: N803 - AWS's
        self.asked.append(SecretId)
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
    with pytest.raises(SecretError) as refused:
        store.secrets.values(tenant, [name])
    return str(refused.value)


def test_a_secret_is_named_by_prefix_tenant_and_name() -> None:
    store = Store({"stack/acme/token": text("first-secret")})

    assert store.secrets.values("acme", ["token"]) == {"token": "first-secret"}
    assert store.asked == ["stack/acme/token"]


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
def test_a_name_that_could_be_anothers_is_never_looked_up(tenant: str, name: str) -> None:
    store = Store()

    assert refusal(store, tenant, name).startswith("no secret can be called")
    assert store.asked == []


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (
            "ResourceNotFoundException",
            "there is no secret 'token'; it is to be stored as stack/acme/token",
        ),
        (
            "InvalidRequestException",  # it is scheduled for deletion
            "there is no secret 'token'; it is to be stored as stack/acme/token",
        ),
        ("AccessDeniedException", "the secret 'token' may not be read: AccessDeniedException"),
        ("DecryptionFailure", "the secret 'token' may not be read: DecryptionFailure"),
        ({"SecretBinary": b"12345678"}, "the secret 'token' is binary, and must be text"),
        (text(""), "the secret 'token' is empty"),
        (text("1234567"), "the secret 'token' has 7 characters, at least 8 are needed"),
    ],
)
def test_a_secret_that_cannot_be_used_is_told_by_name_alone(answer: Any, told: str) -> None:  # noqa: ANN401
    assert refusal(Store({"stack/acme/token": answer})) == told


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServiceError"])
def test_what_aws_will_do_later_is_tried_again(code: str) -> None:
    store = Store({"stack/acme/token": code})

    with pytest.raises(TryAgainError):
        store.secrets.values("acme", ["token"])


def test_what_is_not_known_passes_untouched() -> None:
    store = Store({"stack/acme/token": "InvalidParameterException"})

    with pytest.raises(botocore.exceptions.ClientError):
        store.secrets.values("acme", ["token"])


class TestMemory:
    def test_a_value_is_remembered_for_half_a_minute(self) -> None:
        store = Store({"stack/acme/token": text("first-secret")})
        secrets = store.secrets
        secrets.values("acme", ["token"])
        store.answers["stack/acme/token"] = text("second-secret")

        store.now_s += 29.9
        assert secrets.values("acme", ["token"]) == {"token": "first-secret"}
        store.now_s += 0.2
        assert secrets.values("acme", ["token"]) == {"token": "second-secret"}

    def test_it_is_each_tenants_own(self) -> None:
        store = Store({"stack/acme/token": text("first-secret")})
        secrets = store.secrets
        secrets.values("acme", ["token"])

        with pytest.raises(SecretError):
            secrets.values("globex", ["token"])

    def test_what_could_not_be_used_is_asked_for_again(self) -> None:
        store = Store({"stack/acme/token": text("short")})
        secrets = store.secrets
        with pytest.raises(SecretError):
            secrets.values("acme", ["token"])
        store.answers["stack/acme/token"] = text("long enough")

        assert secrets.values("acme", ["token"]) == {"token": "long enough"}

    def test_it_is_bounded(self) -> None:
        names = [f"n{number}" for number in range(1000)]
        store = Store({f"stack/acme/{name}": text(f"secret-{name}") for name in names})
        secrets = store.secrets

        found = secrets.values("acme", names)

        assert found == {name: f"secret-{name}" for name in names}
        assert len(secrets._memory) <= 100

    def test_no_repr_shows_a_value(self) -> None:
        secrets = Store({"stack/acme/token": text("first-secret")}).secrets
        secrets.values("acme", ["token"])

        assert "first-secret" not in repr(secrets)
