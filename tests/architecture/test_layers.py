"""Each function has the layers whose packages its code can import, and no other.

The layers are divided in layers/core/python/Makefile. tests/stack/test_sam.py builds and measures
them.
"""

from __future__ import annotations

import ast
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import botocore
import botocore.session
import pydantic_core
import pytest

from tests.architecture.ports import USED
from tests.template import ROOT, folder, functions

PACKAGES = ROOT / "layers/core/python"
BOOTSTRAP = PACKAGES / "taskrunner/bootstrap.py"
OPERATIONS: dict[str, tuple[str, ...]] = runpy.run_path(str(PACKAGES / "trim_botocore.py"))[
    "OPERATIONS"
]
UNCHANGED = Path(botocore.__file__).parents[1]
CALLED_BY_BOTOCORE = {"CreateSession", "HeadBucket"}
# The distributions of a layer beside CoreLayer, and what the code imports from it.
SCHEMA = {"jsonschema-rs": "jsonschema_rs"}
SIGNATURE = {
    "cffi": "cffi",
    "cryptography": "cryptography",
    "pycparser": "pycparser",
    "pyjwt": "jwt",
}
LAYERS = {"SchemaLayer": SCHEMA, "SignatureLayer": SIGNATURE}
CLIENTS = """
import json, sys
import botocore.session
session = botocore.session.get_session()

def described(shape, around=()):
    if shape is None or shape.name in around:
        return shape and shape.name
    around = (*around, shape.name)
    inner = dict(getattr(shape, "members", {}))
    for part in ("member", "key", "value"):
        if hasattr(shape, part):
            inner[part] = getattr(shape, part)
    inner = {name: described(part, around) for name, part in inner.items()}
    return [shape.name, shape.type_name, shape.serialization, shape.metadata, inner]

found = {}
for service, *operations in json.loads(sys.argv[1]):
    for region in ("us-east-1", "eu-west-1", "cn-north-1", "us-gov-west-1"):
        client = session.create_client(service, region_name=region)
        model = client.meta.service_model
        found[f"{service} {region}"] = [
            client.meta.endpoint_url,
            client.meta.partition,
            model.metadata,
            [part.name for part in model.client_context_parameters],
        ]
    found[service] = {
        "errors": {shape.name: described(shape) for shape in model.error_shapes},
        "discovery": model.endpoint_discovery_operation and model.endpoint_discovery_operation.name,
    }
    for name in operations:
        operation = model.operation_model(name)
        errors = [described(shape) for shape in operation.error_shapes]
        found[f"{service} {name}"] = [
            described(operation.input_shape),
            described(operation.output_shape),
            errors,
            operation.http,
            operation.http_checksum,
            operation.endpoint,
            operation.auth_type,
            [str(part) for part in operation.static_context_parameters],
            [str(part) for part in operation.context_parameters],
            operation.operation_context_parameters,
        ]
print(json.dumps(found))
"""
CALLS = """
import datetime, json, sys, uuid
import botocore.session
uuid.uuid4 = lambda: "not random"
session = botocore.session.get_session()

class Sent(Exception):
    pass

def sample(shape):
    kind = shape.type_name
    if kind == "structure":
        names = shape.required_members or list(shape.members)[:shape.metadata.get("union", 0)]
        return {name: sample(shape.members[name]) for name in names}
    if kind == "list":
        return [sample(shape.member)]
    if kind == "map":
        return {"key": sample(shape.value)}
    if kind == "string":
        return shape.enum[0] if shape.enum else "a" * max(3, shape.metadata.get("min", 0))
    return {"blob": b"a", "boolean": True, "timestamp": datetime.datetime(2024, 1, 1)}.get(kind, 1)

def send(request, **_):
    kept = {name: str(request.headers.get(name)) for name in ("Content-Type", "X-Amz-Target")}
    body = request.body.read() if hasattr(request.body, "read") else request.body
    raise Sent(request.method, request.url, str(body), kept)

sent = {}
for service, *operations in json.loads(sys.argv[1]):
    client = session.create_client(service, region_name="eu-west-1")
    client.meta.events.register_first("before-send", send)
    for name in operations:
        operation = client.meta.service_model.operation_model(name)
        try:
            client._make_api_call(name, sample(operation.input_shape))
        except Sent as request:
            sent[f"{service} {name}"] = request.args
print(json.dumps(sent))
"""
MODELS = """
import inspect, json
import pydantic_core
from pydantic_core import core_schema
from taskrunner.compiler.manifest.shapes import Pack
try:
    Pack.model_validate({"metadata": {"version": 1}, "spec": {"steps": [{"id": "a b"}]}})
except pydantic_core.ValidationError as error:
    errors = error.errors(include_url=False)
members = {name: member for name, member in vars(core_schema).items() if name[0] != "_"}
functions = filter(inspect.isfunction, members.values())
typed_dict = type(core_schema.IntSchema)
print(json.dumps([
    pydantic_core.__file__,
    [len(made.__annotations__) for made in members.values() if type(made) is typed_dict],
    sorted(members),
    sorted(f"{made.__name__}{inspect.signature(made)}" for made in functions),
    Pack.model_json_schema(),
    errors,
], default=str))
"""
# Named like operations of AWS, these are attributes or values of ours.
OTHER_MEANINGS = {"verify"}


class Imports(ast.NodeVisitor):
    """The modules that a file may import at any time; types alone do not count."""

    def __init__(self) -> None:
        self.modules: set[str] = set()

    def visit_If(self, node: ast.If) -> None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for child in node.orelse:
                self.visit(child)
        else:
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        self.modules.update(alias.name for alias in node.names)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.modules.add(str(node.module))
        self.modules.update(f"{node.module}.{alias.name}" for alias in node.names)


@cache
def imports(file: Path) -> frozenset[str]:
    visitor = Imports()
    visitor.visit(ast.parse(file.read_text(encoding="utf-8")))
    return frozenset(visitor.modules)


def file_of(module: str) -> Path | None:
    path = PACKAGES / module.replace(".", "/")
    found = (path / "__init__.py", path.with_suffix(".py"))
    return next((file for file in found if file.exists()), None)


def imported(modules: set[str]) -> set[str]:
    """The packages that are not ours and that *modules* may import, however indirectly."""
    packages, seen, pending = set(), set(), list(modules)
    while pending:
        module = pending.pop()
        if module in seen:
            continue
        seen.add(module)
        if not module.startswith("taskrunner"):
            packages.add(module.partition(".")[0])
        elif module != "taskrunner.bootstrap" and (file := file_of(module)) is not None:
            parts = module.split(".")
            pending += [".".join(parts[:end]) for end in range(1, len(parts))]
            pending += imports(file)
    return packages


@cache
def modules_by_port() -> dict[str, tuple[frozenset[str], frozenset[str]]]:
    """The modules that the bootstrap imports for each port, and the ports that it uses for it."""
    tree = ast.parse(BOOTSTRAP.read_text(encoding="utf-8"))
    (world,) = (node for node in tree.body if getattr(node, "name", "") == "AwsWorld")
    assert isinstance(world, ast.ClassDef)
    ports = {}
    for port in (node for node in world.body if isinstance(node, ast.FunctionDef)):
        nodes = list(ast.walk(port))
        visitor = Imports()
        visitor.visit(port)
        used = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        ports[port.name] = (frozenset(visitor.modules), frozenset(used))
    return ports


def of_ports(names: set[str]) -> set[str]:
    found: set[str] = set()
    seen: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name in modules_by_port() and name not in seen:
            seen.add(name)
            modules, used = modules_by_port()[name]
            found |= modules
            pending += used
    return found


@pytest.mark.parametrize("logical_id", [name for name in functions() if folder(name) in USED])
def test_a_function_has_the_layers_that_its_code_imports(logical_id: str) -> None:
    name = folder(logical_id)
    app = imports(ROOT / "functions" / name / "app.py")
    packages = imported({*app, *of_ports(set(USED[name]))})

    needed = {layer for layer, content in LAYERS.items() if packages & set(content.values())}
    layers = functions()[logical_id].get("Layers", [])
    assert {layer["Ref"] for layer in layers} == needed


@pytest.mark.parametrize(("variable", "content"), [("schema", SCHEMA), ("signature", SIGNATURE)])
def test_the_makefile_divides_the_packages_alike(variable: str, content: dict[str, str]) -> None:
    makefile = (PACKAGES / "Makefile").read_text(encoding="utf-8")
    line = re.search(rf"^{variable} := (.*)$", makefile, re.MULTILINE)

    assert line is not None
    assert line[1].split() == list(content)


@pytest.fixture(name="trimmed", scope="module")
def _trimmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with this environment's botocore, as the layer has it."""
    site_packages = tmp_path_factory.mktemp("layer")
    shutil.copytree(Path(botocore.__file__).parent, site_packages / "botocore")
    subprocess.run(  # noqa: S603 - every word is ours
        [sys.executable, PACKAGES / "trim_botocore.py", site_packages], check=True
    )
    return site_packages


def test_the_trimmed_botocore_has_the_services_that_the_bootstrap_calls(trimmed: Path) -> None:
    services = re.findall(r'_client\(\s*"(\w+)"', BOOTSTRAP.read_text(encoding="utf-8"))
    folders = {path.name for path in (trimmed / "botocore/data").iterdir() if path.is_dir()}

    assert folders == set(services) == OPERATIONS.keys()


def with_botocore(path: Path, source: str) -> dict[str, Any]:
    """Return what *source* prints for all operations with the botocore of *path*."""
    services = [(service, *names) for service, names in OPERATIONS.items()]
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    done = subprocess.run(  # noqa: S603 - every word is ours
        [sys.executable, "-c", source, json.dumps(services)],
        env={"PYTHONPATH": str(path), **keys},
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_trimmed_botocore_makes_the_same_clients(trimmed: Path) -> None:
    """In every partition: same addresses; same parameters, results and errors of operations."""
    assert with_botocore(trimmed, CLIENTS) == with_botocore(UNCHANGED, CLIENTS)


def test_the_trimmed_botocore_sends_the_same_requests(trimmed: Path) -> None:
    sent = with_botocore(trimmed, CALLS)

    assert sent == with_botocore(UNCHANGED, CALLS)
    assert len(sent) == sum(map(len, OPERATIONS.values()))


def test_the_trimmed_botocore_has_the_operations_that_the_code_calls() -> None:
    """Each name in the code, as an attribute or in quotes, that is an operation's must be kept."""
    files = [*(PACKAGES / "taskrunner").rglob("*.py"), *ROOT.glob("functions/*/app.py")]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text("utf-8")))]
    names = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    names |= {str(node.value) for node in nodes if isinstance(node, ast.Constant)}
    names -= OTHER_MEANINGS
    session = botocore.session.get_session()

    for service, kept in OPERATIONS.items():
        operations = session.get_service_model(service).operation_names
        called = {name for name in operations if {botocore.xform_name(name), name} & names}
        assert called == set(kept) - CALLED_BY_BOTOCORE, service


def test_the_trimmed_botocore_has_the_operations_that_botocore_calls() -> None:
    calls = re.compile(r"client\.([a-z_]+)\(")
    names = {
        name
        for file in Path(botocore.__file__).parent.glob("*.py")
        for name in calls.findall(file.read_text("utf-8"))
    }
    session = botocore.session.get_session()

    for service, kept in OPERATIONS.items():
        operations = session.get_service_model(service).operation_names
        called = {name for name in operations if botocore.xform_name(name) in names}
        assert called <= set(kept), service


def test_the_trimmed_botocore_is_small_and_says_that_it_was_changed(trimmed: Path) -> None:
    data = trimmed / "botocore/data"

    assert sum(file.stat().st_size for file in data.rglob("*") if file.is_file()) < 600_000
    assert "changed by TaskRunner" in (data / "NOTICE.taskrunner").read_text(encoding="utf-8")


def test_the_trimmed_pydantic_makes_the_same_models_without_keys_of_types(tmp_path: Path) -> None:
    shutil.copytree(Path(pydantic_core.__file__).parent, tmp_path / "pydantic_core")
    subprocess.run(  # noqa: S603 - every word is ours
        [sys.executable, PACKAGES / "trim_pydantic.py", tmp_path], check=True
    )

    def models(*folders: Path) -> list[Any]:
        done = subprocess.run(  # noqa: S603 - every word is ours
            [sys.executable, "-c", MODELS],
            env={"PYTHONPATH": os.pathsep.join(map(str, [*folders, PACKAGES]))},
            check=True,
            capture_output=True,
            text=True,
        )
        found: list[Any] = json.loads(done.stdout)
        return found

    trimmed_file, trimmed_keys, *trimmed = models(tmp_path)
    _, unchanged_keys, *unchanged = models()

    assert trimmed == unchanged
    assert trimmed_file == str(tmp_path / "pydantic_core/__init__.py")
    assert sum(trimmed_keys) < sum(unchanged_keys) / 10
    text = (tmp_path / "pydantic_core/core_schema.py").read_text(encoding="utf-8")
    assert "Changed by TaskRunner" in text
