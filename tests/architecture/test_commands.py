"""The pages' commands of the AWS command line exist, and the pages name what the template has."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import botocore.session
import pytest
from botocore import xform_name

from tests.template import ROOT, template

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGES = sorted(ROOT.glob("docs/*.md"))
# Options of the command line itself, not of an operation.
GLOBAL = {"--output", "--query", "--region", "--profile"}
# `aws sns subscribe` calls it so, because --endpoint-url is an option of the command line.
RENAMED = {"--notification-endpoint": "--endpoint"}
# Commands without an operation of the same name.
BUILT_IN = {"s3", "cloudformation deploy"}
_CONTINUED = re.compile(r"\\\n\s*")
_COMMAND = re.compile(r"\baws ([a-z0-9-]+ [a-z0-9-]+(?: [^`\n|]*)?)")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"", re.DOTALL)


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the words of each command, without what is quoted."""
    text = _CONTINUED.sub("", page.read_text(encoding="utf-8"))
    for found in _COMMAND.findall(_QUOTED.sub("X", text)):
        words = shlex.split(found.replace("$(", "").rstrip(")"), posix=False)
        if words[0] in botocore.session.get_session().get_available_services():
            yield words


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(commands(page))], ids=lambda page: page.name
)
def test_every_command_is_an_operation_with_these_options(page: Path) -> None:
    session = botocore.session.get_session()
    for service, operation, *rest in commands(page):
        if service in BUILT_IN or f"{service} {operation}" in BUILT_IN:
            continue
        model = session.get_service_model(service)
        names = {xform_name(name, "-"): name for name in model.operation_names}
        assert operation in names, (service, operation)
        shape = model.operation_model(names[operation]).input_shape
        members = {xform_name(member, "-"): value for member, value in shape.members.items()}
        options = {word for word in rest if word.startswith("--")} - GLOBAL
        given = {RENAMED.get(option, option) for option in options}
        allowed = {f"--{name}" for name in members}
        allowed |= {
            f"--no-{name}" for name, value in members.items() if value.type_name == "boolean"
        }
        assert given <= allowed, (service, operation, given - allowed)
        required = {f"--{xform_name(name, '-')}" for name in shape.required_members}
        assert required <= given, (service, operation, required - given)


def test_the_page_of_aws_names_what_the_template_has() -> None:
    text = (ROOT / "docs/aws.md").read_text(encoding="utf-8")
    outputs = set(re.findall(r"\boutput ([A-Z]\w+)", text))
    parameters = {
        name
        for cell in re.findall(r"^\| (`[A-Z].*?) \|", text, re.MULTILINE)
        for name in re.findall(r"`([A-Z][a-z]\w+)`", cell)
    }

    assert len(outputs) > 5
    assert outputs <= template()["Outputs"].keys()
    assert len(parameters) > 10
    assert parameters <= template()["Parameters"].keys()
