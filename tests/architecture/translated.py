"""Prints the OpenAPI document that SAM makes of template.yaml with parameters `NAME=VALUE`.

It runs in the emulator's environment, because ours does not have SAM.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILT = ("CodeUri", "ContentUri", "DefinitionUri")


def main(parameters: dict[str, str]) -> None:
    from samtranslator.translator.transform import transform  # noqa: PLC0415
    from samtranslator.yaml_helper import yaml_parse  # noqa: PLC0415

    class NoManagedPolicies:
        def load(self) -> dict[str, str]:
            return {}

    document = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
    for resource in document["Resources"].values():
        properties = resource.get("Properties", {})
        properties.update({name: "s3://built/it" for name in BUILT if name in properties})
    translated = transform(document, parameters, NoManagedPolicies())
    json.dump(translated["Resources"]["Api"]["Properties"]["Body"], sys.stdout)


if __name__ == "__main__":
    main(dict(argument.split("=", 1) for argument in sys.argv[1:]))
