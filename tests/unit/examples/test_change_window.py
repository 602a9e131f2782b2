"""The example executor reports whether a change window is open, from its parameters alone."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from examples.executors.change_window.app import DAYS, BadParametersError, handler

EVENTS = Path(__file__).parents[3] / "examples" / "executors" / "change_window" / "events"
RELEASE = Path(__file__).parents[3] / "examples" / "release.yaml"
WORKDAY = {"days": ["tue", "wed"], "from": "09:00", "to": "16:00"}
NIGHT = {"days": ["fri"], "from": "22:00", "to": "04:00"}


def ask(at: object, *windows: Any, environment: str = "production", **more: Any) -> dict[str, Any]:  # noqa: ANN401
    parameters = {"environment": environment, "at": at, "windows": list(windows)}
    return handler({"with": parameters, **more}, None)


@pytest.mark.parametrize(
    ("at", "window", "is_open"),
    [
        ("2026-03-10T09:00:00Z", WORKDAY, True),
        ("2026-03-10T15:59:59.999Z", WORKDAY, True),
        ("2026-03-10T16:00:00Z", WORKDAY, False),
        ("2026-03-10T08:59:59Z", WORKDAY, False),
        ("2026-03-12T12:00:00Z", WORKDAY, False),
        ("2026-03-10T17:30:00+02:00", WORKDAY, True),
        ("2026-03-10t12:00:00z", WORKDAY, True),
        ("2026-03-13T22:00:00Z", NIGHT, True),
        ("2026-03-14T03:59:59Z", NIGHT, True),
        ("2026-03-14T04:00:00Z", NIGHT, False),
        ("2026-03-13T03:00:00Z", NIGHT, False),
        ("2026-03-14T23:00:00Z", NIGHT, False),
        ("2026-03-10T00:00:00Z", {"from": "00:00", "to": "00:00"}, True),
        ("2026-03-10T12:00:00Z", {**WORKDAY, "environment": "production"}, True),
        ("2026-03-10T12:00:00Z", {**WORKDAY, "environment": "staging"}, False),
        ("2026-03-10T12:00:00Z", {**WORKDAY, "days": []}, False),
    ],
)
def test_a_window_is_open_from_its_beginning_to_just_before_its_end(
    at: str,
    window: dict[str, Any],
    is_open: bool,  # noqa: FBT001 - a value of the case
) -> None:
    answer = ask(at, window)

    assert answer["open"] == is_open
    assert answer["window"] == (window if is_open else None)


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 - the zone is set below
    st.integers(-12, 14),
)
def test_the_offset_of_a_time_makes_no_difference(naive: datetime, hours: int) -> None:
    at = naive.replace(microsecond=0, tzinfo=UTC)
    elsewhere = at.astimezone(timezone(timedelta(hours=hours)))

    assert ask(at.isoformat(), WORKDAY, NIGHT) == ask(elsewhere.isoformat(), WORKDAY, NIGHT)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)))  # noqa: DTZ001 - as above
def test_a_window_of_one_day_is_open_only_on_that_day_of_the_week(naive: datetime) -> None:
    at = naive.replace(microsecond=0, tzinfo=UTC)
    windows = [{"days": [day], "from": "00:00", "to": "00:00"} for day in DAYS]

    are_open = [ask(at.isoformat(), window)["open"] for window in windows]

    assert are_open == [day == at.weekday() for day in range(7)]


def test_the_example_events_have_the_expected_answers() -> None:
    events = {file.stem: json.loads(file.read_text()) for file in EVENTS.iterdir()}

    answers = {name: handler(event, None) for name, event in events.items()}

    assert answers == {
        "open": {
            "open": True,
            "environment": "production",
            "at": "2026-03-10T14:30:00Z",
            "window": events["open"]["with"]["windows"][0],
        },
        "closed": {
            "open": False,
            "environment": "production",
            "at": "2026-03-13T14:30:00Z",
            "window": None,
        },
        "closed_for_a_policy": {
            "passed": False,
            "failures": [
                {
                    "id": "change-window",
                    "message": "no change window of production is open at 2026-03-13T14:30:00Z",
                }
            ],
        },
    }


def test_a_policy_passes_while_a_window_is_open() -> None:
    answer = ask("2026-03-10T12:00:00Z", WORKDAY, policy={"id": "change-window", "version": "3"})

    assert answer == {"passed": True, "failures": []}


@pytest.mark.parametrize(("hour", "is_open"), [(15, True), (16, False)])
def test_without_a_time_the_window_is_judged_when_the_function_is_called(
    hour: int,
    is_open: bool,  # noqa: FBT001 - a value of the case
) -> None:
    event = {"with": {"environment": "production", "windows": [WORKDAY]}}

    answer = handler(event, None, now=lambda: datetime(2026, 3, 10, hour, tzinfo=UTC))

    assert (answer["open"], answer["at"]) == (is_open, f"2026-03-10T{hour}:00:00Z")


def test_the_release_is_judged_when_it_is_about_to_be_deployed() -> None:
    release = yaml.safe_load(RELEASE.read_text())["spec"]["steps"]
    ids = [step["id"] for step in release]

    assert "createdAt" not in RELEASE.read_text()
    assert ids.index("agreement") < ids.index("record") < ids.index("window")
    assert ids[ids.index("window") + 1] == "deploy"


def test_another_attempt_gets_the_same_answer() -> None:
    event = json.loads((EVENTS / "open.json").read_text())

    assert handler(event, None) == handler({**event, "attempt": 2}, None)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"environment": None}, "'environment' is missing"),
        ({"at": None}, "'at' must be a time with its offset"),
        ({"at": "2026-03-10T12:00:00"}, "'at' must be a time with its offset"),
        ({"at": "2026-03-10"}, "'at' must be a time with its offset"),
        ({"at": "2026-13-10T12:00:00Z"}, "'at' must be a time with its offset"),
        ({"at": "0001-01-01T00:00:00Z"}, "'at' must be a time with its offset"),
        ({"at": "9999-12-31T00:00:00Z"}, "'at' must be a time with its offset"),
        ({"at": "0001-01-01T00:00:00+14:00"}, "'at' must be a time with its offset"),
        ({"windows": None}, "'windows' is missing"),
        ({"windows": ["always"]}, "a window must be an object"),
        ({"windows": [{**WORKDAY, "days": ["tuesday"]}]}, "'days' must be a list of mon, tue"),
        ({"windows": [{**WORKDAY, "from": "9:00"}]}, "'from' must be a time of the day"),
        ({"windows": [{**WORKDAY, "to": "24:00"}]}, "'to' must be a time of the day"),
        ({"windows": [{**WORKDAY, "zone": "UTC"}]}, "a window has an unknown key 'zone'"),
        ({"window": []}, "with has an unknown key 'window'"),
    ],
)
def test_bad_parameters_are_refused_with_the_reason(changed: dict[str, Any], why: str) -> None:
    parameters = {
        "environment": "production",
        "at": "2026-03-10T12:00:00Z",
        "windows": [],
        **changed,
    }

    with pytest.raises(BadParametersError, match=f"^{why}"):
        handler({"with": parameters}, None)
