"""The example packs: two are the contract's own text, and the first pack is small."""

import hashlib
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
# The SHA-256 of the manifests in the contract's examples basic-simulation and create-run.
CONTRACT_PACKS = {
    "scan-deploy": "c5ed5a39f22d9bd7ee9c0dcaee6a7de7f7fe38a2ea5e783f402dd885ced6b280",
    "deploy-app": "5cffd2616d0a322e67c526194a3c7900c2e01b7e80fb73a820e1e40c1072ac4e",
}


def test_the_first_pack_has_ten_lines() -> None:
    assert len((EXAMPLES / "hello.yaml").read_text().splitlines()) == 10


@pytest.mark.parametrize("name", CONTRACT_PACKS)
def test_a_pack_of_the_contract_is_unchanged(name: str) -> None:
    content = (EXAMPLES / f"{name}.yaml").read_bytes()

    assert hashlib.sha256(content).hexdigest() == CONTRACT_PACKS[name]


@pytest.mark.parametrize("name", [*CONTRACT_PACKS, "hello", "release", "worker-release"])
def test_a_file_has_the_name_of_its_pack(name: str) -> None:
    assert f"name: {name}" in (EXAMPLES / f"{name}.yaml").read_text()
