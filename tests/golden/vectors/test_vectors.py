"""The hashes mean what they always meant. See README.md: what stands here is never edited."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from taskrunner.compiler.driver import plan_pack
from taskrunner.model import canonical_json, plan_document

if TYPE_CHECKING:
    from taskrunner.model.plan import Plan

HERE = Path(__file__).parent
CASES = sorted(path.stem for path in HERE.glob("*.yaml"))


def canonical(case: str, kind: str) -> bytes:
    return (HERE / f"{case}.{kind}.canonical.json").read_bytes()


def recorded_hash(case: str, kind: str) -> str:
    return (HERE / f"{case}.{kind}.sha256").read_text(encoding="utf-8").strip()


def planned(case: str) -> Plan:
    inputs = json.loads((HERE / f"{case}.inputs.json").read_text(encoding="utf-8"))
    return plan_pack((HERE / f"{case}.yaml").read_text(encoding="utf-8"), inputs)


@pytest.mark.parametrize("kind", ["plan", "definition"])
@pytest.mark.parametrize("case", CASES)
def test_the_recorded_hash_is_that_of_the_recorded_text(case: str, kind: str) -> None:
    digest = hashlib.sha256(canonical(case, kind)).hexdigest()

    assert recorded_hash(case, kind) == f"sha256:{digest}"


@pytest.mark.parametrize("case", CASES)
def test_the_pack_still_has_this_plan_hash(case: str) -> None:
    document = plan_document.to_document(planned(case))

    assert canonical_json.digest(document) == recorded_hash(case, "plan")


@pytest.mark.parametrize("case", CASES)
def test_the_recorded_text_is_the_plans_document(case: str) -> None:
    assert json.loads(canonical(case, "plan")) == plan_document.to_document(planned(case))


@pytest.mark.parametrize("case", CASES)
def test_a_recorded_plan_can_still_be_read(case: str) -> None:
    assert plan_document.from_document(json.loads(canonical(case, "plan"))) == planned(case)


@pytest.mark.parametrize("case", CASES)
def test_a_recorded_machine_still_has_this_definition_hash(case: str) -> None:
    definition = json.loads(canonical(case, "definition"))

    assert canonical_json.digest(definition) == recorded_hash(case, "definition")


@pytest.mark.parametrize("case", ["deploy-app", "everything", "scan-deploy"])
@pytest.mark.parametrize("kind", ["plan", "definition"])
def test_without_fractions_and_rare_keys_plain_json_gives_the_same_text(
    case: str, kind: str
) -> None:
    value = json.loads(canonical(case, kind))

    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    assert text.encode() == canonical(case, kind)


def test_keys_stand_in_the_order_of_utf_16_code_units_and_numbers_as_in_ecmascript() -> None:
    text = canonical("numbers-and-scripts", "plan").decode()

    # RFC 8785, section 3.2.3 and appendix B.
    keys = ("\\r", "1", "\x80", "\u00f6", "\u20ac", "\U0001f600", "\ufb33")
    positions = [text.index(f'"{key}":"') for key in keys]
    assert positions == sorted(positions)
    assert "[0,0,1,1e+21,1e-7,0.1,333333333.3333333,4.5,0.002,9007199254740991,-5e-324," in text
