"""Packs for tests: those of the API contract, and short ones made of their steps."""

from __future__ import annotations

import textwrap
from typing import Any

import yaml

from tests.template import ROOT

_CONTRACT = ROOT.parent / "shared/contract/taskrunner-openapi.yaml"


def contract_request(path: str, example: str) -> dict[str, Any]:
    """Return the request body of one of the contract's examples, verbatim."""
    contract = yaml.load(_CONTRACT.read_text(encoding="utf-8"), yaml.CSafeLoader)
    content = contract["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    body: dict[str, Any] = content["examples"][example]["value"]
    return body


def scan_deploy() -> dict[str, Any]:
    """Return the request that simulates the pack scan-deploy."""
    return contract_request("/v1/task-runner/simulations", "basic-simulation")


def deploy_app() -> dict[str, Any]:
    """Return the request that creates a run of the pack deploy-app."""
    return contract_request("/v1/task-runner/runs", "create-run")


def pack(steps: str, *, spec: str = "", name: str = "a-pack") -> str:
    """Return a pack of *steps*, which are YAML list items, and of *spec*, at any indentation."""
    parts = [
        "apiVersion: stellaops.io/pack.v1",
        "kind: TaskPack",
        f"metadata: {{name: {name}, version: 1.0.0}}",
        "spec:",
        textwrap.indent(textwrap.dedent(spec).strip("\n"), "  "),
        "  steps:",
        textwrap.indent(textwrap.dedent(steps).strip("\n"), "    "),
    ]
    return "\n".join(part for part in parts if part.strip()) + "\n"
