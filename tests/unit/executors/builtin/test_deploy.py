"""builtin:deploy promotes the bundle that was named, and never another one."""

from pathlib import Path

import pytest

from taskrunner.executors.builtin import deploy
from taskrunner.executors.work import ExecutorFailure
from tests.fakes.executor_world import MemoryBundles, MemoryEnvironments, a_work, mistakes

UNKNOWN_DIGEST = "sha256:" + "0" * 64


def bundle_file(folder: Path, content: bytes) -> Path:
    file = folder / "bundle.zip"
    file.write_bytes(content)
    return file


def test_deploy_promotes_the_runs_last_bundle_to_the_default_environment(tmp_path: Path) -> None:
    bundles = MemoryBundles()
    bundles.put(bundle_file(tmp_path, b"first"))
    last = bundles.put(bundle_file(tmp_path, b"last"))

    outputs = deploy.execute(deploy.Parameters(), a_work(tmp_path, bundles=bundles))

    expected = {
        "environment": "default",
        "digest": last.digest,
        "previousDigest": None,
        "revision": 1,
    }
    assert outputs == expected


@pytest.mark.parametrize("named_by", ["reference", "digest"])
def test_deploy_finds_a_bundle_by_its_reference_or_digest(named_by: str, tmp_path: Path) -> None:
    bundles, environments = MemoryBundles(), MemoryEnvironments()
    wanted = bundles.put(bundle_file(tmp_path, b"wanted"))
    bundles.put(bundle_file(tmp_path, b"last"))
    parameters = deploy.Parameters(environment="prod", bundle=getattr(wanted, named_by))

    deploy.execute(parameters, a_work(tmp_path, bundles=bundles, environments=environments))

    assert [wanted.digest] == [revision.digest for revision in environments.history["prod"]]


def test_deploy_names_the_digest_that_it_replaced(tmp_path: Path) -> None:
    bundles = MemoryBundles()
    work = a_work(tmp_path, bundles=bundles)
    first = bundles.put(bundle_file(tmp_path, b"first"))
    deploy.execute(deploy.Parameters(), work)
    second = bundles.put(bundle_file(tmp_path, b"second"))

    outputs = deploy.execute(deploy.Parameters(), work)

    assert (second.digest, first.digest, 2) == (
        outputs["digest"],
        outputs["previousDigest"],
        outputs["revision"],
    )


def test_deploy_fails_when_the_run_has_built_nothing(tmp_path: Path) -> None:
    with pytest.raises(
        ExecutorFailure, match=r"^this run has built no bundle: put a builtin:build"
    ):
        deploy.execute(deploy.Parameters(), a_work(tmp_path))


def test_deploy_fails_on_an_unknown_bundle_and_deploys_nothing(tmp_path: Path) -> None:
    bundles, environments = MemoryBundles(), MemoryEnvironments()
    bundles.put(bundle_file(tmp_path, b"last"))
    work = a_work(tmp_path, bundles=bundles, environments=environments)

    with pytest.raises(
        ExecutorFailure, match=f"^this tenant has no bundle '{UNKNOWN_DIGEST}'; build it"
    ):
        deploy.execute(deploy.Parameters(bundle=UNKNOWN_DIGEST), work)

    assert environments.history == {}


@pytest.mark.parametrize(
    "bundle", ["", "app.zip", "sha256:abc", UNKNOWN_DIGEST + "\n", UNKNOWN_DIGEST.upper()]
)
def test_deploy_refuses_text_that_is_not_a_bundle_reference(bundle: str) -> None:
    [(place, message)] = mistakes(deploy.Parameters, {"bundle": bundle})

    assert place == ("bundle",)
    assert message.startswith("it is not a bundle; write the `bundle` or `digest` output")


def test_deploy_refuses_a_null_bundle_instead_of_deploying_the_last_one() -> None:
    expected = [(("bundle",), "Input should be a valid string")]

    assert mistakes(deploy.Parameters, {"bundle": None}) == expected


@pytest.mark.parametrize("environment", ["", "-prod", "a/b", "a" * 64, "prod\n", "prøduction"])
def test_deploy_refuses_an_environment_that_is_not_formed_like_a_step_id(environment: str) -> None:
    [(place, message)] = mistakes(deploy.Parameters, {"environment": environment})

    assert place == ("environment",)
    assert "^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$" in message
