"""Packs that send a secret through every executor, policy and form of a template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from tests.security.leaks import leaky_executors
from tests.security.leaks.echoes import ANSWERS, Functions
from tests.security.leaks.spellings import SECRETS
from tests.strategies import as_yaml

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

Step = dict[str, Any]
# The forms whose evaluation fails, whatever the secret is. An error might name the value.
NOT_EVALUATED = frozenset({"abs", "sum", "keys", "sort_by", "avg", "join no list"})


def forms(name: str) -> dict[str, str]:
    """Every form of a template that may hold the secret *name*."""
    secret = f"secrets.{name}"
    return {
        "whole": f"{{{{ {secret} }}}}",
        "text": f"at {{{{ {secret} }}}}.",
        "twice": f"{{{{ {secret} }}}}{{{{ {secret} }}}}",
        "quotes": f'"it\'s" {{{{ {secret} }}}}',
        "join": f"{{{{ join('-', ['x', {secret}, {secret}]) }}}}",
        "to_string": f"{{{{ to_string({{k: {secret}, l: [{secret}]}}) }}}}",
        "string in string": f"{{{{ to_string([to_string([{secret}])]) }}}}",
        "to_array": f"{{{{ to_array({secret}) }}}}",
        "to_number": f"{{{{ to_number({secret}) }}}}",
        "merge": f"{{{{ merge({{a: {secret}}}, {{b: `1`}}) }}}}",
        "object in text": f"given {{{{ {{a: {secret}, b: run.id}} }}}}",
        "max": f"{{{{ max(['', {secret}]) }}}}",
        "sort": f"{{{{ sort(['b', {secret}]) }}}}",
        "map": f"{{{{ map(&{{it: @}}, [{secret}]) }}}}",
        "filter": f"{{{{ [{secret}][?@ != 'x'] }}}}",
        "or": f"{{{{ not_null(inputs.none, {secret}) || 'none' }}}}",
        "pipe": f"{{{{ [{secret}, 'x'] | [0] }}}}",
        "values": f"{{{{ values({{a: {secret}}}) }}}}",
        "abs": f"{{{{ abs({secret}) }}}}",
        "sum": f"{{{{ sum([`1`, {secret}]) }}}}",
        "keys": f"{{{{ keys({secret}) }}}}",
        "sort_by": f"{{{{ sort_by([{{a: {secret}}}, {{a: `1`}}], &a) }}}}",
        "avg": f"{{{{ avg({{a: {secret}}}) }}}}",
        "join no list": f"{{{{ join({secret}, [`1`, {secret}]) }}}}",
    }


def runs(name: str, form: str, port: int) -> dict[str, Step]:
    """Every executor and policy, with the secret *name* in each parameter that takes a template."""
    template = forms(name)[form]
    http = f"http://127.0.0.1:{port}"
    steps: dict[str, Step] = {
        "noop": _run("noop", deep={"a": [template, {"b": template}]}, plain=template),
        "fail": _run("fail", message=template),
        "fail-attempts": _run("fail", message="no", attempts=template),
        "assert": _run("assert", that=False, message=template),
        "assert-that": _run("assert", that=template),
        "sleep": _run("sleep", seconds=template),
        "scan": _run("scanner", target=template),
        "scan-tag": _run("scanner", target=f"registry.example.com/app:{template}", failOn="low"),
        "scan-name": _run("scanner", target=f"localhost:5000/{template}/app@sha256:12"),
        "scan-quotes": _run("scanner", target=f"\"it's {template}"),
        "scan-fail-on": _run("scanner", target="app", failOn=template),
        "build": _run("build", files={"a.txt": template, "b.txt": f"token={template}"}),
        "build-artifacts": _run("build", artifacts=[template]),
        "deploy": _run("deploy", environment=template),
        "deploy-bundle": _run("deploy", bundle=template),
        "deploy-digest": _run("deploy", bundle=f"sha256:{template}"),
        "http-path": _run("http", url=f"{http}/text/{name}?q={template}"),
        "http-whole": _run("http", url=template),
        "http-host": _run("http", url=f"http://{template}/"),
        "http-denied": _run("http", url=f"http://{template}.example.com/{template}"),
        "http-closed": _run("http", url=f"http://127.0.0.1:1/{template}"),
        "http-header": _run(
            "http", url=f"{http}/keys/{name}", headers={"Authorization": f"Bearer {template}"}
        ),
        "http-method": _run("http", url=f"{http}/text/{name}", method=template),
        "http-status": _run("http", url=f"{http}/text/{name}", expectStatus=template),
        "policy-rules": _policy("rules", template),
        "policy-broken": _policy("broken", template),
    }
    for how in ANSWERS:
        url = f"{http}/{how}/{name}"
        steps[f"http-{how}"] = _run("http", url=url, method="POST", body={"it": [template]})
    for function in Functions().all():
        parameters = {"value": template}
        steps[f"lambda-{function}"] = {"run": {"uses": f"lambda:{function}", "with": parameters}}
        steps[f"policy-{function}"] = _policy(f"by-{function}", template)
    steps["lambda-none"] = {"run": {"uses": "lambda:none", "with": {"value": template}}}
    for way in leaky_executors.WAYS:
        steps[f"way-{way.replace('_', '-')}"] = _run("noop", way=way, secret=template)
    steps["way-takes-too-long"] |= {"timeoutSeconds": 1}
    return steps


def _run(executor: str, **parameters: Any) -> Step:  # noqa: ANN401
    return {"run": {"uses": f"builtin:{executor}", "with": parameters}}


def overridden(name: str) -> Step:
    """A policy that names the secret *name* in its failure, and waits for an override."""
    step = _policy("by-denies", forms(name)["whole"])
    step["gate"]["policy"] |= {
        "failureAction": "requestOverride",
        "override": {"approval": "exception"},
    }
    return step


def _policy(policy: str, template: str) -> Step:
    parameters = {"value": template, "deep": [template]}
    return {"gate": {"policy": {"policy": policy, "failureAction": "warn", "with": parameters}}}


def manifest(steps: list[Step], port: int) -> str:
    """A pack of *steps* that goes on after every failure."""
    rules = [
        {"id": "no", "require": "with.value == 'x'", "message": "it is not x"},
        {"id": "type", "require": "abs(with.value) == `1`"},
        {"id": "deep", "require": "contains(`1`, with.deep)"},
    ]
    by_functions = [
        {"id": f"by-{function}", "version": "1", "uses": f"lambda:{function}"}
        for function in Functions().all()
    ]
    policies = [
        {"id": "rules", "version": "1", "rules": rules[:1]},
        {"id": "broken", "version": "1", "rules": rules[1:]},
        *by_functions,
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
    """Steps, in blocks or alone, with or without retries, each with any secret in any form."""
    return [draw(_block(port, f"s{number}")) for number in range(draw(st.integers(1, 4)))]


@st.composite
def _leaf(draw: DrawFn, port: int, step_id: str) -> Step:
    name = draw(st.sampled_from(sorted(SECRETS)))
    form = draw(st.sampled_from(sorted(forms(name))))
    ways = runs(name, form, port)
    step: Step = {"id": step_id} | ways[draw(st.sampled_from(sorted(ways)))]
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
