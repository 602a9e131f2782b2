"""The request that creates a pack's machine: its definition as a deployment binds it, and its name.

A machine is named by the hash of all that the request says about what it does. CreateStateMachine
ignores another role for a name that exists, and a machine outlives the functions and the role that
it is bound to. So another binding must be another name: a stack that is deleted and deployed again
under its name never finds a machine of the deleted one.

The definition names the pack and its version, so a machine belongs to one version of one pack, and
its tags say which.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from taskrunner.compiler.machine import frame
from taskrunner.compiler.machine.names import machine_name
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskrunner.model.json_types import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """The part that all machines of a deployment have in common.

    *stack* begins their names. *values* are those of `frame.bindings`. *role_arn*, *logging* and
    *tracing* are given to CreateStateMachine as they are.
    """

    stack: str
    values: Mapping[str, str]
    role_arn: str
    logging: JsonObject
    tracing: JsonObject


def creation(
    pack_name: str, pack_version: str, definition: JsonObject, deployment: Deployment
) -> JsonObject:
    """Return the parameters of CreateStateMachine for a pack, in the form that boto3 takes."""
    request = unnamed_creation(pack_name, pack_version, definition, deployment)
    machine = {key: value for key, value in request.items() if key != "tags"}
    digest = hashlib.sha256(json.dumps(machine, sort_keys=True).encode()).hexdigest()
    return {"name": machine_name(deployment.stack, pack_name, digest), **request}


def unnamed_creation(
    pack_name: str, pack_version: str, definition: JsonObject, deployment: Deployment
) -> JsonObject:
    """Return the same without the name.

    Tags are set when a machine is created, and never changed: another version of the pack has
    another machine.
    """
    bound = frame.bind(definition, deployment.values)
    tags = {"stack": deployment.stack, "pack": pack_name, "version": pack_version}
    return {
        "type": "STANDARD",
        "roleArn": deployment.role_arn,
        "definition": json.dumps(bound, ensure_ascii=False, separators=(",", ":")),
        "loggingConfiguration": deployment.logging,
        "tracingConfiguration": deployment.tracing,
        "tags": [{"key": f"taskrunner:{key}", "value": value} for key, value in tags.items()],
    }
