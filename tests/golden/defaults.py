"""Plans and simulations without the members that have their default value, and back.

A golden file leaves out a member that equals its default, so that it shows what the case is about.
`restored` adds the defaults again; the golden test compares its result with the whole document,
so a member that disappears or changes is still noticed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskrunner.compiler.driver import CompiledPack

Document: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Shape:
    """The default of each member of an object, and the shape of each member that is an object.

    A shape is found from the object itself, because a step's depends on its kind. The shape of a
    member that is a list is that of its items. A member without a shape, such as a step's `with`,
    belongs to the pack's author and is kept as it is.
    """

    defaults: Document = field(default_factory=dict)
    inner: Mapping[str, Callable[[Document], Shape]] = field(default_factory=dict)


def omitted(document: Document, shape: Shape) -> Document:
    """Return *document* without the members that have their default value."""
    kept = {
        key: value
        for key, value in document.items()
        if key not in shape.defaults or value != shape.defaults[key]
    }
    return _inside(kept, shape, omitted)


def restored(document: Document, shape: Shape) -> Document:
    """Return *document* with the members that `omitted` took away."""
    return _inside(shape.defaults | document, shape, restored)


def _inside(
    document: Document, shape: Shape, change: Callable[[Document, Shape], Document]
) -> Document:
    """Return *document* with *change* made to the objects in it that have a shape."""
    changed = dict(document)
    for key in shape.inner.keys() & document.keys():
        value, shape_of = document[key], shape.inner[key]
        if isinstance(value, list):
            changed[key] = [change(item, shape_of(item)) for item in value]
        else:
            changed[key] = change(value, shape_of(value))
    return changed


def _of(shape: Shape) -> Callable[[Document], Shape]:
    return lambda _: shape


_RETRIES = {"maxAttempts": 1, "backoffSeconds": 0}
_FAILURE = {"retries": _RETRIES, "continueOnError": False}
_SANDBOX = {
    "mode": "sealed",
    "egressAllowlist": [],
    "cpuLimitMillicores": 1000,
    "memoryLimitMiB": 512,
    "quotaSeconds": 900,
}
_SLO = {"runP95Seconds": None, "approvalP95Seconds": None, "maxQueueDepth": None}
_APPROVAL = {
    "grants": [],
    "minApprovals": 1,
    "distinctFromRequester": False,
    "expiresAfterSeconds": 7 * 24 * 3600,
    "message": None,
}
_PARAMETERS: Document = {"with": {}, "open": {}}
_ITERATED = {"items": None, "itemsExpression": None, "iterator": "item", "index": "index"}
_STEP = {"name": None, "when": None, "enabled": True, "continueOnError": False}
_STEP_OF_KIND: dict[str, Document] = {
    "Run": {"retries": _RETRIES, "timeoutSeconds": 600, **_PARAMETERS},
    "GateApproval": {"message": None},
    "GatePolicy": {"retries": _RETRIES, "override": None, "branch": [], **_PARAMETERS},
    "Parallel": {"maxParallel": None},
    "Map": {"maxParallel": None, **_ITERATED},
    "Loop": {
        "maxIterations": 1000,
        "until": None,
        "aggregation": "collect",
        "output": None,
        **_ITERATED,
    },
    "Conditional": {"else": [], "taken": None, "outputUnion": False},
}


def _step(step: Document) -> Shape:
    branch = Shape(inner={"steps": _step})
    # A policy gate's branch is a list of steps; each of a conditional's branches holds one.
    inner = {"steps": _step, "branch": _step, "branches": _of(branch), "else": _step}
    return Shape(_STEP | _STEP_OF_KIND[step["kind"]], inner)


PLAN = Shape(
    defaults={
        "planVersion": 1,
        "inputs": {},
        "failure": _FAILURE,
        "sandbox": _SANDBOX,
        "slo": _SLO,
        "approvals": [],
        "policies": [],
        "outputs": [],
    },
    inner={
        "sandbox": _of(Shape(_SANDBOX)),
        "slo": _of(Shape(_SLO)),
        "approvals": _of(Shape(_APPROVAL)),
        "policies": _of(Shape(inner={"rules": _of(Shape({"message": None}))})),
        "steps": _step,
    },
)


def _simulated_step(step: Document) -> Shape:
    defaults = {
        "templateId": step["id"].rpartition("::")[2],
        "enabled": True,
        "continueOnError": False,
        "children": [],
    }
    return Shape(defaults, {"children": _simulated_step})


def simulation(compiled: CompiledPack) -> Shape:
    """The shape of a simulation of *compiled*; it repeats the hashes and the pack of the plan."""
    defaults = {
        "planHash": compiled.plan_hash,
        "definitionHash": compiled.definition_hash,
        "pack": compiled.document["pack"],
        "failurePolicy": _RETRIES | {"continueOnError": False},
        "outputs": [],
        "hasPendingApprovals": False,
    }
    return Shape(defaults, {"steps": _simulated_step})
