"""Digests of functions' settings, which fit into the description of a version.

A new description makes CloudFormation publish a version, and has at most 256 characters.
CloudFormation calls this function for each custom resource SettingsDigest, whenever the settings
that the resource lists have changed.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from taskrunner import bootstrap
from taskrunner.adapters import custom_resource


@bootstrap.observed
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer CloudFormation with the digest of the resource's settings."""
    settings = event["ResourceProperties"]["Settings"]
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    custom_resource.answer(event, "the settings have a digest", succeeded=True, Digest=digest)
    return {"digest": digest}
