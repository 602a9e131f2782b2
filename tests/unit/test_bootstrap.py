"""The world that the bootstrap makes: its clients, and values that expire during a freeze."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.exceptions import ParamValidationError

from taskrunner.adapters.issuer_keys import USABLE_S
from taskrunner.bootstrap import AwsWorld
from tests.moto_aws import moto_aws, session
from tests.unit.adapters.key_server import ISSUER, THEIRS, KeyServer, a_token, refusal

ENVIRONMENT = {
    "SECRET_PREFIX": "stack/",
    "TABLE_NAME": "table",
    "ISSUER": ISSUER,
    # The claims say all that the table could say.
    "TENANT_CLAIM": "tenants",
    "GRANTS_CLAIM": "grants",
}


@dataclass
class WallClock:
    """The port Clock, which goes on during a freeze."""

    time: datetime

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@pytest.fixture(name="clock")
def _clock(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    """A wall clock that a test moves, beside a monotonic clock that stands still."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    stands_at_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: stands_at_s)
    return WallClock(datetime.now(UTC))


def test_a_secret_expires_while_the_monotonic_clock_stands_still(clock: WallClock) -> None:
    with moto_aws():
        world = AwsWorld(ENVIRONMENT, session())
        world.clock = clock
        store = boto3.client("secretsmanager")
        store.create_secret(Name="stack/acme/token", SecretString="first-secret")
        world.secrets.values("acme", ["token"])
        store.put_secret_value(SecretId="stack/acme/token", SecretString="second-secret")
        assert world.secrets.values("acme", ["token"]) == {"token": "first-secret"}

        clock.sleep(31)

        assert world.secrets.values("acme", ["token"]) == {"token": "second-secret"}


def test_a_withdrawn_key_expires_while_the_monotonic_clock_stands_still(clock: WallClock) -> None:
    server = KeyServer()
    try:
        with moto_aws():
            world = AwsWorld({**ENVIRONMENT, "JWKS_URL": server.url}, session())
            world.clock = clock
            token = a_token(exp=int(time.time()) + 86400)
            assert world.authority.caller(f"Bearer {token}").subject == "client-1"
            server.keys = {"key-2": THEIRS}

            clock.sleep(USABLE_S + 1)

            assert refusal(world.authority, token)
    finally:
        server.close()


def test_clients_name_the_service_and_log_nothing_when_they_are_made(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    caplog.set_level(logging.INFO)
    world = AwsWorld({"TABLE_NAME": "table", "BUCKET_NAME": "bucket"})

    user_agents = [
        world._table._client.meta.config.user_agent,
        world._bucket._client.meta.config.user_agent,
    ]

    assert caplog.records == []
    assert all(text.startswith("taskrunner botocore/") for text in user_agents)


def test_an_empty_key_is_never_sent_to_the_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its request would be one about the bucket itself."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    world = AwsWorld({"BUCKET_NAME": "bucket"})

    with pytest.raises(ParamValidationError, match="Key"):
        world._bucket.get("")
