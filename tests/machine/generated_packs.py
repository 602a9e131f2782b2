"""A hypothesis strategy of packs of the whole language, of steps that cost little to run."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from tests.machine.generated_declarations import DECIDED, DECISIONS, POLICIES, POOL, pack_of

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

_DEEPEST = 3
_MOST_STEPS = 14


@dataclass
class _Scope:
    """The names that a step may read at its place: steps with outputs, steps, gates, iterators."""

    outputs: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    gates: list[str] = field(default_factory=list)
    policies: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    in_loop: bool = False

    def copy(self) -> _Scope:
        return _Scope(
            list(self.outputs),
            list(self.steps),
            list(self.gates),
            list(self.policies),
            list(self.names),
            self.in_loop,
        )


# Fields of gates that conditions read, and what values read of an approval gate.
_OF_GATES = (
    "outputs.decision == 'approved'",
    "outputs.decision == 'rejected'",
    "outputs.rejection",
    "outputs.approvals[0].subject == 'bob'",
    "statusReason == 'approval-rejected'",
)
_OF_POLICIES = (
    "outputs.passed",
    "outputs.failures[?id == 'zero']",
    "statusReason == 'policy-warned'",
    "statusReason == 'policy-failed'",
)


def _one_of(choices: tuple[Any, ...]) -> SearchStrategy[Any]:
    """Return a strategy that Hypothesis has checked if the same choices were given before."""
    try:
        return _kept_one_of(*choices)
    except TypeError:  # a choice cannot be part of a key
        return st.sampled_from(choices)


@lru_cache(maxsize=4096, typed=True)
def _kept_one_of(*choices: Any) -> SearchStrategy[Any]:  # noqa: ANN401 - whatever is chosen from
    return st.sampled_from(choices)


@st.composite
def packs(draw: DrawFn) -> dict[str, Any]:
    """A manifest as data: valid, and takes no inputs."""
    writer = _Writer(draw)
    scope = _Scope()
    steps = writer.decided(scope) if draw(st.sampled_from([True, True, False])) else []
    steps += writer.list(scope, 0, draw(st.integers(1, 4)))
    final = writer.final(scope) if draw(st.booleans()) else {}
    return pack_of(steps, final, may_go_on=draw(st.sampled_from([False, False, True])))


class _Writer:
    """Writes one pack; ids are s1, s2 and so on in the order of writing."""

    def __init__(self, draw: DrawFn) -> None:
        self._draw = draw
        self._count = 0
        self._is_final = False

    def final(self, scope: _Scope) -> dict[str, Any]:
        """`finally`, which reads all steps and how they ended, and asks nobody."""
        self._is_final = True
        return {"finally": self.list(scope, _DEEPEST - 1, self._few())}

    def decided(self, scope: _Scope) -> list[dict[str, Any]]:
        """Gates and a step that reads them, first in the pack, so that all steps can read them."""
        kinds = self._one(("gate", "policy"), ("policy", "gate"), ("policy",), ("gate",))
        steps = [self._written(kind, scope, 0) for kind in (*kinds, "reader")]
        for gate in steps[:-1]:
            gate.pop("when", None)
        return steps

    def list(self, scope: _Scope, depth: int, size: int) -> list[dict[str, Any]]:
        steps = []
        for _ in range(size):
            steps.append(self._step(scope, depth))
            if "gate" in steps[-1] and self._one(True, True, False):
                steps.append(self._written("reader", scope, depth))
        return steps

    def _few(self) -> int:
        return self._draw(st.integers(1, 2))

    def _one(self, *choices: Any) -> Any:  # noqa: ANN401 - whatever is chosen from
        return self._draw(_one_of(choices))

    def _step(self, scope: _Scope, depth: int) -> dict[str, Any]:
        kinds = ["run", "run", "fail", "worker", "machine", "policy", "policy"]
        kinds += [] if self._is_final else ["gate"] * 3
        if depth < _DEEPEST and self._count < _MOST_STEPS:
            kinds += ["parallel", "map", "loop", "conditional"] * 2
        return self._written(self._one(*kinds), scope, depth)

    def _written(self, kind: str, scope: _Scope, depth: int) -> dict[str, Any]:
        self._count += 1
        step: dict[str, Any] = {"id": f"s{self._count}"}
        is_gate = kind in {"gate", "policy"}
        if self._one(False, False, bool(scope.gates or scope.policies), True):
            step["when"] = self._condition(scope)
        # Only the outputs of a gate that failed and was let pass can be read.
        may_fail = (
            self._one(True, True, None, False) if is_gate else self._one(None, None, True, False)
        )
        if may_fail is not None:
            step["continueOnError"] = may_fail
        step |= getattr(self, f"_{kind}")(scope, depth)
        scope.steps.append(step["id"])
        if is_gate:
            (scope.gates if kind == "gate" else scope.policies).append(step["id"])
        else:
            scope.outputs.append(step["id"])
        return step

    def _condition(self, scope: _Scope) -> str:
        choices = ["inputs.flag", "inputs.off", "{{ inputs.none }}"]
        if self._is_final:
            choices += ["run.outcome == 'failed'", "run.failedStep == 's1'"]
        choices += [f"steps.{name}.status == 'Succeeded'" for name in scope.steps[-2:]]
        choices += [f"steps.{name}.statusReason" for name in scope.steps[-1:]]
        choices += [f"steps.{name}.{field}" for name in scope.gates[-2:] for field in _OF_GATES]
        choices += [
            f"steps.{name}.{field}" for name in scope.policies[-2:] for field in _OF_POLICIES
        ]
        choices += [f"steps.{name}.outputs" for name in scope.outputs[-2:]]
        choices += [f"to_string({name}) == '1'" for name in scope.names[-2:]]
        if scope.in_loop:
            choices += ["previous", "previous.at == `0` || !previous"]
        if scope.outputs:
            choices.append(f"length(steps.{scope.outputs[-1]}.outputs.n) == `1`")
        return str(self._one(*choices))

    def _value(self, scope: _Scope) -> Any:  # noqa: ANN401 - any JSON
        choices: list[Any] = [self._count]
        if self._is_final:
            choices += ["{{ run.failedStep }} {{ run.failureReason }}"] * 2
        choices += [f"{{{{ steps.{name}.outputs }}}}" for name in scope.outputs[-3:]]
        choices += [f"{{{{ steps.{name}.status }}}}" for name in scope.steps[-2:]]
        choices += [f"{{{{ steps.{name}.statusReason }}}}" for name in scope.steps[-1:]]
        choices += [f"{{{{ steps.{name}.{DECIDED} }}}}" for name in scope.gates[-2:]] * 3
        choices += [f"{{{{ steps.{name}.outputs }}}}" for name in scope.policies[-2:]] * 2
        choices += [f"{{{{ steps.{name}.outputs.failures[].id }}}}" for name in scope.policies[-1:]]
        choices += [f"at {{{{ {name} }}}}" for name in scope.names]
        if scope.in_loop:
            choices += ["{{ previous }}", "after {{ previous.item }}"]
        if scope.outputs:
            choices.append(f"{{{{ keys(steps.{scope.outputs[-1]}.outputs) }}}}")
        return self._one(*choices)

    def _run(self, scope: _Scope, _depth: int) -> dict[str, Any]:
        parameters = {
            "n": self._value(scope),
            f"k{self._count}": self._value(scope),
            "list": [1, 2],
        }
        return {"run": {"uses": "builtin:noop", "with": parameters}}

    def _reader(self, scope: _Scope, _depth: int) -> dict[str, Any]:
        """A step that reads the gates before it."""
        fields = ("outputs.failures", "outputs.passed", "outputs.failures[].id", "statusReason")
        reads = {
            "n": [f"{{{{ steps.{name}.{DECIDED} }}}}" for name in scope.gates[-2:]],
            "list": [f"{{{{ steps.{name}.{f} }}}}" for name in scope.policies[-2:] for f in fields],
        }
        parameters = {key: self._one(*values) for key, values in reads.items() if values}
        return {"run": {"uses": "builtin:noop", "with": parameters}}

    def _fail(self, _scope: _Scope, _depth: int) -> dict[str, Any]:
        if self._one(False, False, True):
            again = {"retries": {"maxAttempts": self._one(2, "{{ length(inputs.list) }}")}}
            return again | {"run": {"uses": "builtin:fail", "with": {"attempts": self._one(1, 2)}}}
        return {"run": {"uses": "builtin:fail"}}

    def _worker(self, scope: _Scope, _depth: int) -> dict[str, Any]:
        """A step that the worker of `worked` runs: its first attempts fail, as many as it says."""
        texts = ["as it is", *(f"at {{{{ {name} }}}}" for name in scope.names)]
        texts += [f"{{{{ steps.{name}.status }}}}" for name in scope.steps[-2:]]
        # Only a text fits.
        texts += [f"{{{{ steps.{name}.outputs.n }}}}" for name in scope.outputs[-1:]]
        failures = self._one(0, 0, 0, 1, 2)
        again = {"retries": {"maxAttempts": 2}} if self._one(True, False) else {}
        work = {"script": self._one(*texts), "env": {"FAILURES": str(failures)}}
        return again | {"run": {"uses": f"worker:{POOL}", "with": work}}

    def _machine(self, scope: _Scope, _depth: int) -> dict[str, Any]:
        again = {"retries": {"maxAttempts": 2, "backoffSeconds": 0}}
        call = {"n": self._value(scope), "list": [1]}
        name = self._one("echo", "echo", "refuse")
        return (again if self._one(True, False) else {}) | {
            "run": {"uses": f"states:{name}", "with": call}
        }

    def _gate(self, scope: _Scope, _depth: int) -> dict[str, Any]:
        approval = {"id": self._one(*DECISIONS)}
        if self._one(True, True, False):
            approval["message"] = f"{self._value(scope)}"
        if self._one(True, False):
            approval["message"] = f"Go on with {self._value(scope)} at {self._value(scope)}?"
        return {"gate": {"approval": approval}}

    def _policy(self, scope: _Scope, depth: int) -> dict[str, Any]:
        actions = ["warn", "branch", "abort", *([] if self._is_final else ["requestOverride"])]
        action = self._one(*actions)
        policy: dict[str, Any] = {
            "policy": self._one(*(policy["id"] for policy in POLICIES)),
            "failureAction": action,
            "with": {"zero": self._one(None, None, 1, "text")},
        }
        if self._one(False, False, True):
            policy["with"]["token"] = "{{ secrets.token }}"
        if self._one(*[False] * 5, True):
            policy["retries"] = {"count": self._one(1, "{{ inputs.one }}")}
        if action == "requestOverride":
            policy["override"] = {"approval": self._one(*DECISIONS)}
        if action == "branch":
            policy["branch"] = self.list(scope.copy(), depth + 1, self._few())
        return {"gate": {"policy": policy}}

    def _parallel(self, scope: _Scope, depth: int) -> dict[str, Any]:
        size = self._draw(st.integers(1, 3))
        block: dict[str, Any]
        if self._one(True, False):
            block = {"steps": [self._step(scope.copy(), depth + 1) for _ in range(size)]}
        else:
            branches = [self.list(scope.copy(), depth + 1, self._few()) for _ in range(size)]
            block = {"branches": [{"steps": steps} for steps in branches]}
        if self._one(True, False):
            block["maxParallel"] = self._one(1, 2, "{{ inputs.one }}")
        return {"parallel": block}

    def _items(self, scope: _Scope) -> str:
        choices = ["inputs.list", "inputs.none", "`[1]`"]
        choices += [f"steps.{name}.outputs.list" for name in scope.outputs[-2:]]
        choices += [f"steps.{name}.outputs.list || `[1, 2]`" for name in scope.outputs[-2:]]
        return str(self._one(*choices))

    def _iterators(self, scope: _Scope) -> tuple[_Scope, dict[str, str]]:
        inner, names = scope.copy(), {"iterator": f"i{self._count}", "index": f"x{self._count}"}
        inner.names += names.values()
        return inner, names

    def _map(self, scope: _Scope, depth: int) -> dict[str, Any]:
        inner, block = self._iterators(scope)
        items = {"items": self._items(scope)}
        limit = {"maxParallel": self._one(1, "{{ inputs.one }}")} if self._one(True, False) else {}
        steps = {"steps": self.list(inner, depth + 1, self._few())}
        outputs = {}
        if self._one(False, True):
            outputs["outputs"] = f"{{at: {block['index']}, item: {block['iterator']}}}"
        return {"map": block | items | limit | steps | outputs | self._fail_fast()}

    def _fail_fast(self) -> dict[str, Any]:
        fail_fast = self._one(None, True, False)
        return {} if fail_fast is None else {"failFast": fail_fast}

    def _loop(self, scope: _Scope, depth: int) -> dict[str, Any]:
        inner, names = self._iterators(scope)
        inner.in_loop = True
        block: dict[str, Any] = dict(names)
        block["items"] = self._one(
            self._items(scope),
            {"range": {"start": 0, "end": self._one(1, "{{ inputs.one }}")}},
            {"static": [{"a": 1}, {"b": 2}]},
        )
        block["aggregation"] = self._one("collect", "merge", "last", "first", "none")
        block["body"] = self.list(inner, depth + 1, self._few())
        if self._one(False, False, True) and isinstance(block["items"], str):
            block["maxIterations"] = self._one(2, "{{ length(inputs.list) }}")
        if self._one(False, True):
            block["until"] = self._condition(inner)
        if self._one(False, True):
            before = self._one("", "", ", before: previous.at")
            block["outputs"] = f"{{at: {names['index']}, item: {names['iterator']}{before}}}"
        return {"loop": block | self._fail_fast()}

    def _conditional(self, scope: _Scope, depth: int) -> dict[str, Any]:
        branches = [
            {
                "condition": self._condition(scope),
                "steps": self.list(scope.copy(), depth + 1, self._few()),
            }
            for _ in range(self._few())
        ]
        block: dict[str, Any] = {"branches": branches, "outputUnion": self._one(False, True)}
        if self._one(False, True):
            block["else"] = self.list(scope.copy(), depth + 1, 1)
        return {"conditional": block}
