"""The deployment and the declarations of generated packs: approvals, policies and machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# The decisions of each approval in their order: who decides, and how. Those of an approval whose
# id ends with "-each" are made at each gate by itself.
DECISIONS = {
    "split-each": [("cy", "approved"), ("bob", "rejected")],
    "both": [("bob", "approved"), ("cy", "approved")],
    "no-each": [("bob", "rejected")],
    "no": [("bob", "rejected")],
    "yes-each": [("bob", "approved")],
    "yes": [("bob", "approved")],
}
_MESSAGES = {
    "yes": "as it is",
    "no": "{{ inputs.none[0] }}",  # comes to nothing
    "both": "{{ inputs.list }} for {{ run.tenant }}",
    "yes-each": "{{ inputs.one }} of {{ abs('x') }}",
}
# The executor functions, secrets and called machines of a deployment of these packs.
FUNCTIONS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "has-zero": lambda payload: (
        {"passed": True}
        if payload["with"]["zero"] is not None
        else {"passed": False, "failures": [{"id": "zero", "message": "it is null"}, "just text"]}
    )
}
MACHINES: dict[str, dict[str, Any]] = {
    "echo": {
        "Type": "Pass",
        "Parameters": {"n.$": "$.n", "list.$": "$.list", "attempt.$": "$.taskrunner.attempt"},
        "End": True,
    },
    "refuse": {"Type": "Fail", "Error": "OutOfStock", "Cause": "the warehouse is empty"},
}
SECRETS = {"token": "correct-horse-battery"}
POOL = "linux"
_INPUTS = {"flag": True, "off": False, "list": ["x", "y"], "none": [], "one": 1}

_WHO = "[subject, actorId, summary]"
DECIDED = f"outputs.[decision, approvals[].{_WHO}, rejection.{_WHO}]"
_ZERO = {"id": "zero", "require": "with.zero"}
POLICIES: list[dict[str, Any]] = [
    {
        "id": "never",
        "version": "1",
        "rules": [_ZERO | {"message": "there is no zero"}, {"id": "off", "require": "inputs.off"}],
    },
    {
        "id": "broken",
        "version": "1",
        "rules": [{"id": "long", "require": "length(with.zero) > `0`"}, _ZERO],
    },
    {"id": "fails", "version": "1", "rules": [_ZERO]},
    {"id": "asked", "version": "1", "uses": "lambda:has-zero"},
    {"id": "holds", "version": "1", "rules": [{"id": "r", "require": "inputs.flag"}]},
]


def _approval(approval: str) -> dict[str, Any]:
    declared = {"id": approval, "minApprovals": len(DECISIONS[approval])}
    if approval in _MESSAGES:
        declared["message"] = _MESSAGES[approval]
    return declared | ({"scope": "gate"} if approval.endswith("-each") else {})


def remarks(approval: str, subject: str) -> dict[str, str]:
    """Return what *subject* adds to a decision of *approval*."""
    return {"summary": f"{subject} looked at {approval}", "actorId": f"{subject}-at-work"}


def worked(parameters: Mapping[str, Any], attempt: int) -> dict[str, Any] | None:
    """Return the outputs of an attempt of a worker step with *parameters*; None if it fails."""
    if attempt <= int(parameters["env"]["FAILURES"]):
        return None
    return {"n": parameters["script"], "list": [attempt]}


def every_gate() -> dict[str, Any]:
    """A pack with steps that read each approval, each policy and each called machine."""
    bodies: list[dict[str, Any]] = [
        {"run": {"uses": f"states:{name}", "with": {"n": "{{ inputs.list }}", "list": [1]}}}
        for name in MACHINES
    ]
    reads = ["outputs"] * len(bodies)
    for approval in DECISIONS:
        bodies.append({"gate": {"approval": {"id": approval}}})
        bodies.append({"gate": {"approval": {"id": approval, "message": "{{ steps.s0.outputs }}"}}})
        reads += [DECIDED, DECIDED]
    for policy in POLICIES:
        gate = {"policy": policy["id"], "failureAction": "warn", "with": {"zero": None}}
        bodies.append({"gate": {"policy": gate}})
        override = {"failureAction": "requestOverride", "override": {"approval": "yes"}}
        bodies.append({"gate": {"policy": gate | override}})
        reads += ["outputs", "outputs"]
    gates = [
        {"id": f"s{number}", "continueOnError": True} | body for number, body in enumerate(bodies)
    ]
    readers = [
        {
            "id": f"r{number}",
            "run": {"uses": "builtin:noop", "with": {"n": f"{{{{ steps.s{number}.{read} }}}}"}},
        }
        for number, read in enumerate(reads)
    ]
    return pack_of([*gates, {"id": "readers", "parallel": {"steps": readers}}], {}, may_go_on=False)


def pack_of(
    steps: list[dict[str, Any]], final: dict[str, Any], *, may_go_on: bool
) -> dict[str, Any]:
    """Return the pack of *steps* and *final*, the entry of `finally` if it has any."""
    types = {bool: "boolean", list: "array", int: "integer"}
    return {
        "apiVersion": "stellaops.io/pack.v1",
        "kind": "TaskPack",
        "metadata": {"name": "generated", "version": "1.0.0"},
        "spec": {
            "inputs": [
                {"name": name, "type": types[type(value)], "default": value}
                for name, value in _INPUTS.items()
            ],
            "failure": {"continueOnError": may_go_on},
            "approvals": [_approval(approval) for approval in DECISIONS],
            "policies": POLICIES,
            "secrets": [{"name": name} for name in SECRETS],
            "steps": steps,
            **final,
        },
    }
