"""The page of an ended run verifies its signed record in the browser, and says what that shows."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.packs import scan_deploy
from tests.stack.console.browser import WIDE
from tests.stack.packs import GATED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Locator, Route

    from tests.stack.api import Api
    from tests.stack.console.browser import Person


@pytest.fixture(name="sealed_run", scope="module")
def _sealed_run(operator: Api) -> str:
    """A run that has captured a file, and whose evidence is there."""
    run_id: str = operator("POST", "runs", scan_deploy()).json()["runId"]
    operator.sealed(run_id)
    return run_id


def evidence(person: Person, run_id: str) -> Locator:
    """Open the evidence of a run anew."""
    person.go("#/runs")
    person.go(f"#/runs/{run_id}?tab=evidence")
    return person.page.get_by_label("Details")


def answer_content(person: Person, name: str, content: bytes) -> None:
    """Let the service send other content of an artifact."""
    answer = {"url": "https://files.example/", "content": base64.b64encode(content).decode()}
    person.page.route(f"**/artifacts/{name}?content=true", lambda route: route.fulfill(json=answer))


def change_listing(person: Person, change: Callable[[dict[str, Any]], None]) -> None:
    """Let the service list the record otherwise."""

    def answer(route: Route) -> None:
        listed: list[dict[str, Any]] = route.fetch().json()
        for artifact in listed:
            if artifact["name"] == "evidence-bundle":
                change(artifact)
        route.fulfill(json=listed)

    person.page.route(re.compile(r"/artifacts$"), answer)


def test_verifies_record_log_plan_and_artifacts(
    alice: Person, sealed_run: str, picture: Callable[[str], Path | None]
) -> None:
    panel = evidence(alice, sealed_run)

    expect(panel).to_contain_text("✓ Verified with the key that this deployment shows")
    checks = panel.get_by_label("Checks").get_by_role("listitem")
    for name in ("Record", "Signature", "Statement", "Plan", "Log", "Artifact scan-report"):
        expect(checks.filter(has_text=f"{name} passed")).to_have_count(1)
    expect(panel).to_contain_text("cannot vouch for the service")
    expect(panel).to_contain_text(f"taskrunner evidence verify {sealed_run}.evidence --key PEM")
    alice.picture(picture("evidence"), alice.page.get_by_label("Details"), width=WIDE)


@pytest.fixture(name="changed_record")
def _changed_record(operator: Api, sealed_run: str) -> bytes:
    """The run's record with another outcome in its statement, under the old signature."""
    path = f"runs/{sealed_run}/artifacts/evidence-bundle"
    answer = operator("GET", path, query={"content": "true"}).json()
    envelope = json.loads(base64.b64decode(answer["content"]))
    statement = base64.b64decode(envelope["payload"])
    changed = statement.replace(b'"outcome":"succeeded"', b'"outcome":"cancelled"')
    assert changed != statement
    envelope["payload"] = base64.b64encode(changed).decode()
    return json.dumps(envelope, separators=(",", ":"), sort_keys=True).encode()


def test_a_changed_record_is_not_the_listed_one(
    alice: Person, sealed_run: str, changed_record: bytes
) -> None:
    answer_content(alice, "evidence-bundle", changed_record)
    panel = evidence(alice, sealed_run)

    expect(panel).to_contain_text("✕ Verification failed: Record")
    alice.page.unroute_all(behavior="wait")
    panel.get_by_role("button", name="Check again").click()
    expect(panel).to_contain_text("✓ Verified")


def test_a_changed_record_that_is_listed_fails_by_its_signature(
    alice: Person, sealed_run: str, changed_record: bytes
) -> None:
    def change(bundle: dict[str, Any]) -> None:
        bundle["sha256"] = hashlib.sha256(changed_record).hexdigest()

    answer_content(alice, "evidence-bundle", changed_record)
    change_listing(alice, change)
    panel = evidence(alice, sealed_run)

    expect(panel).to_contain_text("✕ Verification failed: Signature")
    expect(panel).to_contain_text("did not sign this statement")
    alice.page.unroute_all(behavior="wait")


def test_a_changed_log_fails(alice: Person, sealed_run: str) -> None:
    def answer(route: Route) -> None:
        response = route.fetch()
        text = response.text().replace("Run created via API.", "Run created by nobody.")
        route.fulfill(response=response, body=text)

    alice.page.route("**/logs?**", answer)
    panel = evidence(alice, sealed_run)

    expect(panel).to_contain_text("✕ Verification failed: Log")
    expect(panel).to_contain_text("are not those signed")
    alice.page.unroute_all(behavior="wait")


def test_a_changed_artifact_fails(alice: Person, sealed_run: str) -> None:
    answer_content(alice, "scan-report", b"{}")
    panel = evidence(alice, sealed_run)

    expect(panel).to_contain_text("✕ Verification failed: Artifact scan-report")
    alice.page.unroute_all(behavior="wait")


def test_a_record_without_its_key_cannot_be_checked(alice: Person, sealed_run: str) -> None:
    def change(bundle: dict[str, Any]) -> None:
        described = json.loads(bundle["expressionJson"])
        del described["attestations"][0]["publicKey"]
        bundle["expressionJson"] = json.dumps(described)

    change_listing(alice, change)
    panel = evidence(alice, sealed_run)

    expect(panel).to_contain_text("? Cannot be checked here. The run ended before")
    expect(panel).to_contain_text("taskrunner evidence verify")
    alice.page.unroute_all(behavior="wait")


def test_a_run_gets_its_record_when_it_ends(alice: Person, operator: Api) -> None:
    run_id = operator.run(GATED)
    operator.wait(run_id, "waiting")
    panel = evidence(alice, run_id)
    expect(panel).to_contain_text("No evidence yet. The run gets a signed record when it ends.")

    operator("POST", f"runs/{run_id}/cancel")

    expect(panel).to_contain_text("✓ Verified with the key")
