"""The words that a shell proposes: what `taskrunner` answers when bash asks for completions."""

from collections.abc import Callable
from pathlib import Path

import pytest

from taskrunner_cli.app import main
from taskrunner_cli.world import World
from tests.unit.cli.fake_http import Answer
from tests.unit.cli.fake_service import ARTIFACT, FakeService

Complete = Callable[..., list[str]]


@pytest.fixture(name="complete")
def _complete(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Complete:
    """Return the proposals for the last word of a command line, as bash gets them."""

    def run(*words: str, world: World = world) -> list[str]:
        with monkeypatch.context() as patch:
            patch.setenv("_TASKRUNNER_COMPLETE", "complete_bash")
            patch.setenv("COMP_WORDS", " ".join(["taskrunner", *words]))
            patch.setenv("COMP_CWORD", str(len(words)))
            with pytest.raises(SystemExit) as ended:
                main([], world)
        printed = capsys.readouterr()
        assert ended.value.code in {0, None}
        assert printed.err == ""
        return printed.out.split()

    return run


@pytest.fixture(autouse=True)
def _runs(service: FakeService) -> None:
    service.add("r1", "deploy-app", ticks=2).artifacts.append(ARTIFACT)
    service.add("r2", "scan-deploy")


@pytest.mark.parametrize("command", ["show", "logs", "cancel", "artifacts", "evidence fetch"])
def test_proposes_the_ids_of_runs(complete: Complete, command: str) -> None:
    assert complete(*command.split(), "") == ["r1", "r2"]
    assert complete(*command.split(), "r2") == ["r2"]


@pytest.mark.parametrize("command", ["approve", "reject"])
def test_proposes_the_runs_that_wait_and_then_their_approvals(
    complete: Complete, command: str
) -> None:
    assert complete(command, "") == ["r1"]
    assert complete(command, "r1", "") == ["security-review"]
    assert complete(command, "r2", "") == []


def test_proposes_artifacts_callers_and_commands(complete: Complete) -> None:
    assert complete("artifacts", "r1", "") == ["scan-report"]
    assert "approver" in complete("show", "--as", "a")
    assert "approvals" in complete("appr")


def test_proposes_packs_and_folders(
    complete: Complete, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stack.json").rename(tmp_path / ".stack.json")  # that of the fixtures
    for name in ("a.yaml", "b.yml", "c.txt", "i.json", ".hidden.yaml"):
        (tmp_path / name).touch()
    (tmp_path / "packs").mkdir()
    (tmp_path / "packs" / "d.yaml").touch()
    monkeypatch.chdir(tmp_path)

    assert complete("run", "") == ["a.yaml", "b.yml", "packs/"]
    assert complete("simulate", "packs/") == ["packs/d.yaml"]
    assert complete("gates", f"{tmp_path}/a") == [f"{tmp_path}/a.yaml"]
    assert complete("run", "a.yaml", "--inputs", "") == ["i.json", "packs/"]


def test_proposes_nothing_and_prints_no_error_if_the_service_fails(
    complete: Complete, service: FakeService, world: World
) -> None:
    service.next_answers = [Answer(503, None, {"Retry-After": "60"}), Answer(200, b"[" * 9999)]

    assert complete("show", "") == []
    assert complete("show", "") == []
    assert world.clock.monotonic() == 0


def test_proposes_nothing_that_a_shell_might_run(complete: Complete, service: FakeService) -> None:
    for run_id in ("$(reboot)", "`id`", "a;b", "a\nb", "-rf", "ok"):
        service.add(run_id)

    assert complete("show", "") == ["r1", "r2", "ok"]
