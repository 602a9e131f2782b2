"""The template as SAM translates it."""

from __future__ import annotations

import json
import os
import subprocess
from functools import cache
from itertools import product
from typing import Any

from tests.template import ROOT

SAM = ROOT / ".local/venvs/emulator/bin/python"
# A Region of each partition in which the service may run.
REGIONS = {"aws": "us-east-1", "aws-us-gov": "us-gov-west-1", "aws-cn": "cn-north-1"}


@cache
def translations() -> dict[tuple[str, str], dict[str, Any]]:
    """Return the translated template by partition and kind of authorization.

    The other parameters do not change it; CloudFormation resolves those. One process translates
    all of them, because importing SAM takes longest.
    """
    assert SAM.exists(), "run `make setup`, which creates the environment with SAM"
    wanted = list(product(REGIONS, ("Authorize", "AWS_IAM")))
    requests = [
        {"region": REGIONS[partition], "parameters": {"Authorization": authorization}}
        for partition, authorization in wanted
    ]
    done = subprocess.run(  # noqa: S603 - our own program
        [SAM, ROOT / "tests/architecture/translated.py"],
        check=True,
        capture_output=True,
        input=json.dumps(requests).encode(),
        env=os.environ | {"PYTHONPATH": ""},
    )
    return dict(zip(wanted, json.loads(done.stdout), strict=True))


def translated_api(authorization: str = "Authorize") -> dict[str, Any]:
    """Return the OpenAPI document that API Gateway gets."""
    resources = translations()["aws", authorization]["Resources"]
    api: dict[str, Any] = resources["Api"]["Properties"]["Body"]
    return api
