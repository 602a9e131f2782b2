"""Each function has the layers whose packages its code can import, and no other.

The layers are divided in layers/core/python/Makefile. tests/stack/test_sam.py builds and measures
them.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import botocore
import pytest

from tests.architecture.ports import USED
from tests.template import ROOT, folder, functions

PACKAGES = ROOT / "layers/core/python"
BOOTSTRAP = PACKAGES / "taskrunner/bootstrap.py"
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
found = {}
for service in sys.argv[1:]:
    for region in ("us-east-1", "eu-west-1", "cn-north-1", "us-gov-west-1"):
        client = session.create_client(service, region_name=region)
        model = client.meta.service_model
        found[f"{service} {region}"] = [
            client.meta.endpoint_url,
            client.meta.partition,
            model.api_version,
            {
                name: [
                    sorted(getattr(model.operation_model(name).input_shape, "members", {})),
                    sorted(getattr(model.operation_model(name).output_shape, "members", {})),
                ]
                for name in model.operation_names
            },
        ]
print(json.dumps(found))
"""


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

    assert folders == set(services)


def test_the_trimmed_botocore_makes_the_same_clients(trimmed: Path) -> None:
    """In every partition: same addresses, operations and parameters."""
    services = [path.name for path in (trimmed / "botocore/data").iterdir() if path.is_dir()]

    def clients(path: Path) -> object:
        done = subprocess.run(  # noqa: S603 - every word is ours
            [sys.executable, "-c", CLIENTS, *services],
            env={"PYTHONPATH": str(path)},
            check=True,
            capture_output=True,
            text=True,
        )
        return json.loads(done.stdout)

    assert clients(trimmed) == clients(Path(botocore.__file__).parents[1])


def test_the_trimmed_botocore_is_small_and_says_that_it_was_changed(trimmed: Path) -> None:
    data = trimmed / "botocore/data"

    assert sum(file.stat().st_size for file in data.rglob("*") if file.is_file()) < 1_500_000
    assert "changed by TaskRunner" in (data / "NOTICE.taskrunner").read_text(encoding="utf-8")
