"""builtin:deploy promotes one bundle, and never another than was meant."""

from pathlib import Path

import pytest

from taskrunner.executors.builtin import deploy
from taskrunner.executors.work import ExecutorFailure
from tests.fakes.executor_world import MemoryBundles, MemoryEnvironments, a_work, mistakes

NOWHERE = "sha256:" + "0" * 64


def a_file(folder: Path, content: bytes) -> Path:
    file = folder / "bundle.zip"
    file.write_bytes(content)
    return file


def test_the_runs_last_bundle_goes_to_the_default_environment(tmp_path: Path) -> None:
    bundles = MemoryBundles()
    bundles.put(a_file(tmp_path, b"first"))
    last = bundles.put(a_file(tmp_path, b"last"))

    outputs = deploy.execute(deploy.Parameters(), a_work(tmp_path, bundles=bundles))

    expected = {
        "environment": "default",
        "digest": last.digest,
        "previousDigest": None,
        "revision": 1,
    }
    assert outputs == expected


@pytest.mark.parametrize("named_by", ["reference", "digest"])
def test_a_bundle_is_named_by_its_reference_or_its_digest(named_by: str, tmp_path: Path) -> None:
    bundles, environments = MemoryBundles(), MemoryEnvironments()
    wanted = bundles.put(a_file(tmp_path, b"wanted"))
    bundles.put(a_file(tmp_path, b"last"))
    parameters = deploy.Parameters(environment="prod", bundle=getattr(wanted, named_by))

    deploy.execute(parameters, a_work(tmp_path, bundles=bundles, environments=environments))

    assert [wanted.digest] == [revision.digest for revision in environments.history["prod"]]


def test_the_second_deployment_names_what_it_replaced(tmp_path: Path) -> None:
    bundles = MemoryBundles()
    work = a_work(tmp_path, bundles=bundles)
    first = bundles.put(a_file(tmp_path, b"first"))
    deploy.execute(deploy.Parameters(), work)
    second = bundles.put(a_file(tmp_path, b"second"))

    outputs = deploy.execute(deploy.Parameters(), work)

    assert (second.digest, first.digest, 2) == (
        outputs["digest"],
        outputs["previousDigest"],
        outputs["revision"],
    )


def test_a_run_that_built_nothing_is_told_to_build(tmp_path: Path) -> None:
    with pytest.raises(
        ExecutorFailure, match=r"^this run has built no bundle: put a builtin:build"
    ):
        deploy.execute(deploy.Parameters(), a_work(tmp_path))


def test_an_unknown_bundle_is_named_and_nothing_else_deployed(tmp_path: Path) -> None:
    bundles, environments = MemoryBundles(), MemoryEnvironments()
    bundles.put(a_file(tmp_path, b"last"))
    work = a_work(tmp_path, bundles=bundles, environments=environments)

    with pytest.raises(ExecutorFailure, match=f"^there is no bundle '{NOWHERE}' here; build it"):
        deploy.execute(deploy.Parameters(bundle=NOWHERE), work)

    assert environments.history == {}


@pytest.mark.parametrize("bundle", ["", "app.zip", "sha256:abc", NOWHERE + "\n", NOWHERE.upper()])
def test_what_is_no_bundle_is_told_what_is_one(bundle: str) -> None:
    [(place, message)] = mistakes(deploy.Parameters, {"bundle": bundle})

    assert place == ("bundle",)
    assert message.startswith("it is no bundle; write the `bundle` or the `digest`")


def test_a_bundle_that_came_to_nothing_is_refused_rather_than_replaced_by_the_last() -> None:
    expected = [(("bundle",), "Input should be a valid string")]

    assert mistakes(deploy.Parameters, {"bundle": None}) == expected


@pytest.mark.parametrize("environment", ["", "-prod", "a/b", "a" * 64, "prod\n", "prøduction"])
def test_an_environment_is_named_like_a_step(environment: str) -> None:
    [(place, message)] = mistakes(deploy.Parameters, {"environment": environment})

    assert place == ("environment",)
    assert "^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$" in message
