"""Prints what SAM makes of template.yaml: a JSON list, one template for each request on stdin.

A request has a `region`, which decides the partition of ARNs, and `parameters`. This runs in the
emulator's environment, because ours does not have SAM.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BUILT = ("CodeUri", "ContentUri", "DefinitionUri")


def translate(region: str, parameters: dict[str, str]) -> dict[str, Any]:
    """Return the template as CloudFormation gets it in *region*."""
    from samtranslator.translator.arn_generator import ArnGenerator  # noqa: PLC0415
    from samtranslator.translator.transform import transform  # noqa: PLC0415
    from samtranslator.yaml_helper import yaml_parse  # noqa: PLC0415

    class NoManagedPolicies:
        def load(self) -> dict[str, str]:
            return {}

    os.environ["AWS_DEFAULT_REGION"] = ArnGenerator.BOTO_SESSION_REGION_NAME = region
    document = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
    for resource in document["Resources"].values():
        properties = resource.get("Properties", {})
        properties.update({name: "s3://built/it" for name in BUILT if name in properties})
    translated: dict[str, Any] = transform(document, parameters, NoManagedPolicies())
    return translated


if __name__ == "__main__":
    json.dump([translate(**request) for request in json.load(sys.stdin)], sys.stdout)
