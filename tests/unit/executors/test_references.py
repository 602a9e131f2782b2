"""Each reference of a pack leads to its executor's module, and to nothing else."""

from __future__ import annotations

from pkgutil import iter_modules

import pytest

from taskrunner import executors
from taskrunner.executors import builtin, function


def test_every_module_of_the_builtin_package_is_in_the_table() -> None:
    names = {module.name for module in iter_modules(builtin.__path__)}

    assert {f"builtin:{name.removesuffix('_')}" for name in names} == set(executors.references())


@pytest.mark.parametrize("reference", executors.references())
def test_every_builtin_executor_has_parameters_and_execute(reference: str) -> None:
    executor = executors.find(reference)

    assert executor is not None
    assert executor.Parameters.model_config.get("frozen")
    assert callable(executor.execute)


@pytest.mark.parametrize("name", ["a", "change-window", "My_Function2", "a" * 63])
def test_any_function_name_leads_to_the_executor_of_functions(name: str) -> None:
    assert getattr(executors.find(f"lambda:{name}"), "execute", None) is function.execute
    assert executors.function_name(f"lambda:{name}") == name


@pytest.mark.parametrize(
    "reference",
    [
        "lambda",
        "lambda:",
        "lambda:../x",
        "lambda:a b",
        "lambda:-a",
        "lambda:a:1",
        "lambda:a\n",
        "lambda:é",
        "lambda:lambda:a",
        "lambda:" + "a" * 64,
        "LAMBDA:a",
        "change-window",
    ],
)
def test_a_reference_of_another_form_leads_to_no_executor(reference: str) -> None:
    assert executors.find(reference) is None


@pytest.mark.parametrize(
    "name",
    [
        "function",
        "work",
        "exchange",
        "http.exchange",
        "redirects",
        "response",
        "assert_",
        "__init__",
    ],
)
def test_the_name_of_another_module_leads_to_no_executor(name: str) -> None:
    assert executors.find(f"builtin:{name}") is None
