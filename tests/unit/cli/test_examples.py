"""The example packs: the contract's own text, and a first pack that stays small."""

import hashlib
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
# Of the manifests as they stand in the contract's examples basic-simulation and create-run.
DIGESTS = {
    "scan-deploy": "c5ed5a39f22d9bd7ee9c0dcaee6a7de7f7fe38a2ea5e783f402dd885ced6b280",
    "deploy-app": "5cffd2616d0a322e67c526194a3c7900c2e01b7e80fb73a820e1e40c1072ac4e",
}


def test_the_first_pack_has_ten_lines() -> None:
    assert len((EXAMPLES / "hello.yaml").read_text().splitlines()) == 10


@pytest.mark.parametrize("name", DIGESTS)
def test_the_contracts_packs_are_verbatim(name: str) -> None:
    content = (EXAMPLES / f"{name}.yaml").read_bytes()

    assert hashlib.sha256(content).hexdigest() == DIGESTS[name]


@pytest.mark.parametrize("name", [*DIGESTS, "hello", "release"])
def test_an_example_is_named_as_its_pack(name: str) -> None:
    assert f"name: {name}" in (EXAMPLES / f"{name}.yaml").read_text()
