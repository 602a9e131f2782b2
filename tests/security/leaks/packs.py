"""Packs that send a secret through everything that a secret may be written into."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from tests.security.leaks import treacherous
from tests.security.leaks.echoing import ANSWERS, Functions
from tests.security.leaks.planted import SECRETS
from tests.strategies import as_yaml

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

Step = dict[str, Any]


def forms(name: str) -> dict[str, str]:
    """Every form of a template that may hold a secret."""
    own = f"secrets.{name}"
    return {
        "whole": f"{{{{ {own} }}}}",
        "text": f"at {{{{ {own} }}}}.",
        "twice": f"{{{{ {own} }}}}{{{{ {own} }}}}",
        "quotes": f'"it\'s" {{{{ {own} }}}}',
        "join": f"{{{{ join('-', ['x', {own}, {own}]) }}}}",
        "to_string": f"{{{{ to_string({{k: {own}, l: [{own}]}}) }}}}",
        "string in string": f"{{{{ to_string([to_string([{own}])]) }}}}",
        "to_array": f"{{{{ to_array({own}) }}}}",
        "to_number": f"{{{{ to_number({own}) }}}}",
        "merge": f"{{{{ merge({{a: {own}}}, {{b: `1`}}) }}}}",
        "object in text": f"given {{{{ {{a: {own}, b: run.id}} }}}}",
        "max": f"{{{{ max(['', {own}]) }}}}",
        "sort": f"{{{{ sort(['b', {own}]) }}}}",
        "map": f"{{{{ map(&{{it: @}}, [{own}]) }}}}",
        "filter": f"{{{{ [{own}][?@ != 'x'] }}}}",
        "or": f"{{{{ not_null(inputs.none, {own}) || 'none' }}}}",
        "pipe": f"{{{{ [{own}, 'x'] | [0] }}}}",
        "values": f"{{{{ values({{a: {own}}}) }}}}",
        # What cannot be evaluated tells the value that it could not do with.
        "abs": f"{{{{ abs({own}) }}}}",
        "sum": f"{{{{ sum([`1`, {own}]) }}}}",
        "keys": f"{{{{ keys({own}) }}}}",
        "sort_by": f"{{{{ sort_by([{{a: {own}}}, {{a: `1`}}], &a) }}}}",
        "avg": f"{{{{ avg({{a: {own}}}) }}}}",
        "join no list": f"{{{{ join({own}, [`1`, {own}]) }}}}",
    }


def runs(name: str, form: str, port: int) -> dict[str, Step]:
    """Every executor, with the secret *name* as *form* in each parameter that takes a template."""
    it = forms(name)[form]
    http = f"http://127.0.0.1:{port}"
    steps: dict[str, Step] = {
        "noop": _run("noop", deep={"a": [it, {"b": it}]}, plain=it),
        "fail": _run("fail", message=it),
        "fail-attempts": _run("fail", message="no", attempts=it),
        "assert": _run("assert", that=False, message=it),
        "assert-that": _run("assert", that=it),
        "sleep": _run("sleep", seconds=it),
        "scan": _run("scanner", target=it),
        "scan-tag": _run("scanner", target=f"registry.example.com/app:{it}", failOn="low"),
        "scan-name": _run("scanner", target=f"localhost:5000/{it}/app@sha256:12"),
        "scan-quotes": _run("scanner", target=f"\"it's {it}"),
        "scan-fail-on": _run("scanner", target="app", failOn=it),
        "build": _run("build", files={"a.txt": it, "b.txt": f"token={it}"}),
        "build-artifacts": _run("build", artifacts=[it]),
        "deploy": _run("deploy", environment=it),
        "deploy-bundle": _run("deploy", bundle=it),
        "deploy-digest": _run("deploy", bundle=f"sha256:{it}"),
        "http-path": _run("http", url=f"{http}/text/{name}?q={it}"),
        "http-whole": _run("http", url=it),
        "http-host": _run("http", url=f"http://{it}/"),
        "http-denied": _run("http", url=f"http://{it}.example.com/{it}"),
        "http-closed": _run("http", url=f"http://127.0.0.1:1/{it}"),
        "http-header": _run(
            "http", url=f"{http}/keys/{name}", headers={"Authorization": f"Bearer {it}"}
        ),
        "http-method": _run("http", url=f"{http}/text/{name}", method=it),
        "http-status": _run("http", url=f"{http}/text/{name}", expectStatus=it),
        "policy-rules": _policy("rules", it),
        "policy-broken": _policy("broken", it),
    }
    for how in ANSWERS:
        url = f"{http}/{how}/{name}"
        steps[f"http-{how}"] = _run("http", url=url, method="POST", body={"it": [it]})
    for function in Functions().all():
        with_it = {"value": it}
        steps[f"lambda-{function}"] = {"run": {"uses": f"lambda:{function}", "with": with_it}}
        steps[f"policy-{function}"] = _policy(f"by-{function}", it)
    steps["lambda-none"] = {"run": {"uses": "lambda:none", "with": {"value": it}}}
    for way in treacherous.WAYS:
        steps[f"way-{way.replace('_', '-')}"] = _run("noop", way=way, secret=it)
    steps["way-takes-too-long"] |= {"timeoutSeconds": 1}
    return steps


def _run(executor: str, **given: Any) -> Step:  # noqa: ANN401
    return {"run": {"uses": f"builtin:{executor}", "with": given}}


def overridden(name: str) -> Step:
    """A policy that tells the secret *name*, fails, and waits for somebody to override it."""
    step = _policy("by-denies", forms(name)["whole"])
    step["gate"]["policy"] |= {
        "failureAction": "requestOverride",
        "override": {"approval": "exception"},
    }
    return step


def _policy(policy: str, it: str) -> Step:
    given = {"value": it, "deep": [it]}
    return {"gate": {"policy": {"policy": policy, "failureAction": "warn", "with": given}}}


def manifest(steps: list[Step], port: int) -> str:
    """A pack of *steps*, which goes on whatever fails."""
    rules = [
        {"id": "no", "require": "with.value == 'x'", "message": "it is not x"},
        {"id": "type", "require": "abs(with.value) == `1`"},
        {"id": "deep", "require": "contains(`1`, with.deep)"},
    ]
    by = [
        {"id": f"by-{function}", "version": "1", "uses": f"lambda:{function}"}
        for function in Functions().all()
    ]
    policies = [
        {"id": "rules", "version": "1", "rules": rules[:1]},
        {"id": "broken", "version": "1", "rules": rules[1:]},
        *by,
    ]
    return as_yaml(
        {
            "apiVersion": "stellaops.io/pack.v1",
            "kind": "TaskPack",
            "metadata": {"name": "leaky", "version": "1.0.0"},
            "spec": {
                "inputs": [{"name": "none", "type": "string"}],
                "secrets": [{"name": name} for name in SECRETS],
                "sandbox": {
                    "mode": "open",
                    "memoryLimitMiB": 128,
                    "egressAllowlist": [f"127.0.0.1:{port}", "127.0.0.1:1"],
                },
                "failure": {"continueOnError": True},
                "policies": policies,
                "approvals": [{"id": "exception"}],
                "steps": steps,
                "outputs": [
                    {"name": "report", "type": "file", "path": "/output/as-it-is.txt"},
                ],
            },
        }
    )


@st.composite
def some_steps(draw: DrawFn, port: int) -> list[Step]:
    """A few steps, in blocks or alone, tried again or not, each with any secret in any form."""
    return [draw(_block(port, f"s{number}")) for number in range(draw(st.integers(1, 4)))]


@st.composite
def _leaf(draw: DrawFn, port: int, step_id: str) -> Step:
    name = draw(st.sampled_from(sorted(SECRETS)))
    form = draw(st.sampled_from(sorted(forms(name))))
    found = runs(name, form, port)
    step: Step = {"id": step_id} | found[draw(st.sampled_from(sorted(found)))]
    if "run" in step and draw(st.booleans()):
        step["retries"] = {"maxAttempts": 2, "backoffSeconds": 0}
    return step


@st.composite
def _block(draw: DrawFn, port: int, step_id: str) -> Step:
    inner = [draw(_leaf(port, f"{step_id}-{at}")) for at in range(draw(st.integers(1, 3)))]
    kind = draw(st.sampled_from(["map", "loop", "parallel", "conditional", "policy", "none"]))
    items = {"static": ["a", "b"]}
    blocks: dict[str, Step] = {
        "map": {"id": step_id, "map": {"items": items, "steps": inner}},
        "loop": {"id": step_id, "loop": {"items": items, "body": inner}},
        "parallel": {"id": step_id, "parallel": {"steps": inner}},
        "conditional": {
            "id": step_id,
            "conditional": {"branches": [{"condition": "run.id", "steps": inner}]},
        },
        "policy": {
            "id": step_id,
            "gate": {"policy": {"policy": "rules", "failureAction": "branch", "branch": inner}},
        },
        "none": inner[0],
    }
    return blocks[kind]
