"""Secrets of a step: looked up only when they are read, and redacted from every error."""

from __future__ import annotations

import traceback

import pytest

from taskrunner.errors import SecretError, StepFailedError, TryAgainError
from taskrunner.model.redaction import Redactor
from taskrunner.runtime.step_secrets import read_secrets, redacted_errors
from tests.fakes.world import MemoryWorld

SECRET = "correct-horse-battery"
REDACTOR = Redactor({"token": SECRET})


def test_returns_the_secrets_that_references_read() -> None:
    world = MemoryWorld()
    world.secrets.stored["acme", "token"] = SECRET

    found = read_secrets([("inputs", "a"), ("secrets", "token")], "acme", world)

    assert found == {"token": SECRET}


def test_looks_nothing_up_without_a_reference_to_a_secret() -> None:
    world = MemoryWorld()

    assert read_secrets([("inputs", "a")], "acme", world) == {}
    assert world.secrets.asked == []


@pytest.mark.parametrize(
    ("error", "expected", "message"),
    [
        (ValueError(f"no {SECRET}"), RuntimeError, "ValueError: no ***"),
        (KeyError(f"{SECRET}'"), RuntimeError, "KeyError: ***'"),
        (StepFailedError(f"no {SECRET}"), RuntimeError, "StepFailedError: no ***"),
        (TryAgainError(f"busy with {SECRET}"), TryAgainError, "busy with ***"),
        (SecretError("there is no secret 'token'"), SecretError, "there is no secret 'token'"),
    ],
)
def test_redacts_an_error_and_its_causes(
    error: Exception, expected: type[Exception], message: str
) -> None:
    with pytest.raises(expected) as caught, redacted_errors(REDACTOR):
        raise error from OSError(SECRET)

    assert type(caught.value) is expected
    assert str(caught.value) == message
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_does_not_change_an_error_when_no_secret_is_known() -> None:
    error = ValueError("as it is")

    with pytest.raises(ValueError, match="as it is") as caught, redacted_errors(Redactor({})):
        raise error

    assert caught.value is error
