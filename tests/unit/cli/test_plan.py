"""`plan` and `compile`: what a pack becomes, without the service."""

import re
from pathlib import Path

import pytest

from taskrunner_cli.output.mermaid import mermaid_flowchart
from taskrunner_cli.output.tree import tree_guides
from tests.packs import pack
from tests.unit.cli.conftest import Command
from tests.unit.cli.fake_service import COMPARISON, FakeService

DEPLOY = str(Path(__file__).resolve().parents[3] / "examples/deploy-app.yaml")
BLOCKS = pack(
    """
    - id: each
      map:
        items: "inputs.hosts"
        steps:
          - {id: ping, run: {uses: builtin:noop}}
          - {id: rules, gate: {policy: {policy: p}}}
    - id: sides
      parallel:
        steps:
          - {id: left, run: {uses: builtin:noop}}
          - {id: right, run: {uses: builtin:noop}}
    - id: whether
      conditional:
        branches:
          - condition: "steps.left.outputs.it == 'a\\"] --> x'"
            steps: [{id: yes-do, run: {uses: builtin:noop}}]
        else: [{id: otherwise, run: {uses: builtin:noop}}]
    """,
    spec="""
    inputs: [{name: hosts, type: array, default: [a, b]}]
    policies: [{id: p, version: "1", rules: [{id: r, require: inputs}]}]
    """,
)


BRANCHES = pack(
    """
    - id: regions
      parallel:
        branches:
          - name: eu
            steps:
              - {id: build, run: {uses: builtin:noop}}
              - {id: both, parallel: {branches: [{steps: [{id: in, run: {uses: builtin:noop}}]}]}}
              - {id: test, run: {uses: builtin:noop}}
          - steps: [{id: other, run: {uses: builtin:noop}}]
    - {id: after, run: {uses: builtin:noop}}
    """
)


NUMBERS = pack(
    """
    - id: each
      map:
        items: {range: {start: 1, end: "{{ inputs.n }}"}}
        maxParallel: "{{ inputs.n }}"
        step: {id: ping, retries: {maxAttempts: "{{ inputs.n }}"}, run: {uses: builtin:noop}}
    - id: lanes
      parallel:
        maxParallel: "{{ min([inputs.n, `2`]) }}"
        steps: [{id: left, run: {uses: builtin:noop}}]
    """,
    spec="inputs: [{name: n, type: integer, default: 1}]",
)


@pytest.fixture(name="blocks")
def _blocks(tmp_path: Path) -> str:
    path = tmp_path / "blocks.yaml"
    path.write_text(BLOCKS)
    return str(path)


class TestPlan:
    def test_draws_a_tree_without_the_service(
        self, taskrunner: Command, service: FakeService, blocks: str
    ) -> None:
        ended = taskrunner("plan", blocks)

        rows = ended.out[ended.out.index("step ") :].splitlines()[1:]
        assert [re.split(r"\s{2,}", row.strip())[0] for row in rows[:6]] == [
            "each", "├─ ping", "└─ rules", "sides", "├─ left", "└─ right",
        ]  # fmt: skip
        assert "2 items" in rows[0]
        assert "not guarded by any gate" in ended.out
        assert service.requests == []

    def test_draws_a_line_above_the_steps_of_each_branch(
        self, taskrunner: Command, tmp_path: Path
    ) -> None:
        path = tmp_path / "branches.yaml"
        path.write_text(BRANCHES)

        out = taskrunner("plan", str(path)).out

        rows = out[out.index("step ") :].splitlines()[1:]
        assert [re.split(r"(?<=\w)\s{2,}", row)[0] for row in rows[:9]] == [
            "regions",
            "├─ branch eu",
            "│  ├─ build",
            "│  ├─ both",
            "│  │  └─ branch 0",
            "│  │     └─ in",
            "│  └─ test",
            "└─ branch 1",
            "   └─ other",
        ]

    def test_shortens_a_long_list_of_items(self, taskrunner: Command, tmp_path: Path) -> None:
        body = "body: [{id: turn, run: {uses: builtin:noop}}]"
        loop = f"{{items: {{range: {{end: 49}}}}, {body}}}"
        (tmp_path / "pack.yaml").write_text(pack(f"- {{id: turns, loop: {loop}}}"))

        planned = taskrunner("plan", str(tmp_path / "pack.yaml")).out

        (line,) = [line for line in planned.splitlines() if line.startswith("turns ")]
        assert "over [0, 1, 2, 3, " in line
        assert line.endswith("…, collect")
        assert "20" not in line

    def test_says_what_a_gate_guards(self, taskrunner: Command) -> None:
        ended = taskrunner("plan", DEPLOY)

        assert "Security review required before deploy; guards deploy" in ended.out
        assert "not guarded by any gate  build" in ended.out

    def test_prints_the_simulation_with_its_gates(self, taskrunner: Command) -> None:
        document = taskrunner("plan", DEPLOY, "-o", "json").document

        assert document["planHash"].startswith("sha256:")
        assert document["budget"]["historyEvents"] > 0
        assert [step["id"] for step in document["steps"]] == ["build", "approval", "deploy"]
        assert document["gates"][0]["guards"] == ["deploy"]
        assert document["unguarded"] == ["build"]

    def test_shows_the_errors_of_the_inputs(self, taskrunner: Command, blocks: str) -> None:
        ended = taskrunner("plan", blocks, "--input", "hosts=3")

        assert ended.code == 1
        assert "'hosts' must be of type array" in ended.err

    def test_keeps_ids_whole_on_a_narrow_terminal(self, terminal: Command, blocks: str) -> None:
        ended = terminal("plan", blocks, columns=40)

        assert re.search(r"sha256:[0-9a-f]{64}\n", ended.out)


class TestDiff:
    def test_asks_the_service_how_the_plan_differs(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.comparison = COMPARISON

        as_text = taskrunner("plan", DEPLOY, "--diff", "r0")
        as_json = taskrunner("plan", DEPLOY, "--diff", "r0", "-o", "json")

        assert '~ input image: "a:1" → "a:2"' in as_text.out.splitlines()
        assert as_json.document["comparison"] == COMPARISON
        assert service.requests[-1].document["compareTo"] == "r0"

    def test_says_that_an_older_service_cannot_compare(self, taskrunner: Command) -> None:
        ended = taskrunner("plan", DEPLOY, "--diff", "r0", "-o", "json")

        assert (ended.code, ended.out) == (1, "")
        assert ended.error["error"]["code"] == "not_supported"


class TestCompile:
    def test_prints_the_machine_with_placeholders(self, taskrunner: Command) -> None:
        definition = taskrunner("compile", DEPLOY).document

        assert definition["StartAt"]
        assert "${RunStep" in taskrunner("compile", DEPLOY).out

    def test_prints_the_hashes_in_json_form(self, taskrunner: Command) -> None:
        document = taskrunner("compile", DEPLOY, "-o", "json").document

        plan = taskrunner("plan", DEPLOY, "-o", "json").document
        assert document["planHash"] == plan["planHash"]
        assert document["definitionHash"] == plan["definitionHash"]
        assert document["definition"]["StartAt"]

    def test_prints_a_flowchart_of_every_kind_of_step(
        self, taskrunner: Command, blocks: str
    ) -> None:
        chart = taskrunner("compile", blocks, "--format", "mermaid").out

        assert chart.splitlines()[0] == "flowchart TD"
        for words in ("ping<br/>builtin:noop", "rules<br/>policy p", "for each of 2 items"):
            assert words in chart
        assert chart.count("subgraph ") == chart.count("  end\n") == 2
        assert '-->|"else"|' in chart
        document = taskrunner("compile", blocks, "--format", "mermaid", "-o", "json").document
        assert document["mermaid"] == chart

    def test_draws_finally_between_the_steps_and_the_end(
        self, taskrunner: Command, tmp_path: Path
    ) -> None:
        path = tmp_path / "final.yaml"
        step = "{id: work, run: {uses: builtin:noop}}"
        final = "finally: [{id: notify, run: {uses: builtin:noop}}]"
        path.write_text(pack(f"- {step}", spec=final))

        chart = taskrunner("compile", str(path), "--format", "mermaid").out

        nodes = dict(re.findall(r'^  (n\d+)\W+"([^"]*)"', chart, re.MULTILINE))
        arrows = re.findall(r"^  (n\d+) --> (n\d+)$", chart, re.MULTILINE)
        assert [(nodes[start], nodes[end]) for start, end in arrows] == [
            ("start", "work<br/>builtin:noop"),
            ("work<br/>builtin:noop", "finally, also after a failure"),
            ("finally, also after a failure", "notify<br/>builtin:noop"),
            ("notify<br/>builtin:noop", "end"),
        ]

    def test_draws_a_frame_around_the_steps_of_each_branch(
        self, taskrunner: Command, tmp_path: Path
    ) -> None:
        path = tmp_path / "branches.yaml"
        path.write_text(BRANCHES)

        chart = taskrunner("compile", str(path), "--format", "mermaid").out

        nodes = dict(re.findall(r'^ +(n\d+)\W+"([^"<]*)', chart, re.MULTILINE))
        arrows = re.findall(r"^  (n\d+) --> (n\d+)$", chart, re.MULTILINE)
        assert [f"{nodes[start]} {nodes[end]}" for start, end in arrows] == [
            "build in", "in test", "start build", "start other", "test after", "other after",
            "after end",
        ]  # fmt: skip
        frames = re.findall(r'subgraph n\d+\["(.*)"\]', chart)
        assert frames == [
            "regions · in parallel", "branch eu", "both · in parallel", "branch 0", "branch 1",
        ]  # fmt: skip
        assert chart.count("  end\n") == len(frames)

    def test_text_of_a_pack_never_becomes_syntax_of_the_flowchart(
        self, taskrunner: Command, blocks: str
    ) -> None:
        chart = taskrunner("compile", blocks, "--format", "mermaid").out

        (label,) = re.findall(r"steps\.left[^|\n]*", chart)
        assert set('"[]{}<>#&%`\\') & set(re.sub(r"#\d+;", "", label).rstrip('"')) == set()

    def test_a_loop_leads_back_to_its_first_step(self) -> None:
        run = {"kind": "Run", "uses": "builtin:noop", "enabled": True, "when": None}
        loop = {
            "id": "l", "kind": "Loop", "items": None, "itemsExpression": "inputs.%%{x}",
            "enabled": None, "when": "steps.a", "steps": [{"id": "a", **run}, {"id": "b", **run}],
        }  # fmt: skip

        chart = mermaid_flowchart({"steps": [loop]})

        assert 'n5 -->|"next"| n4' in chart
        assert "for each of inputs.#37;#37;#123;x#125; · when steps.a" in chart


def test_the_guides_of_a_tree() -> None:
    assert tree_guides([0, 1, 2, 2, 1, 0]) == ["", "├─ ", "│  ├─ ", "│  └─ ", "└─ ", ""]


def test_a_node_whose_parent_is_not_listed_is_drawn_below_the_nearest_one_that_is() -> None:
    assert tree_guides([0, 5, 5, 7, 3, 0]) == ["", "├─ ", "├─ ", "│  └─ ", "└─ ", ""]


def test_plan_shows_numbers_from_inputs_as_they_are_planned(
    taskrunner: Command, tmp_path: Path
) -> None:
    path = tmp_path / "numbers.yaml"
    path.write_text(NUMBERS)

    ended = taskrunner("plan", str(path), "--input", "n=3")

    details = {line.partition("Pending")[2].strip() for line in ended.out.splitlines()}
    assert {
        "3 items, distributed, 3 at a time",
        "builtin:noop  up to 3 attempts",
        "2 at a time",
    } <= details


def test_the_error_of_a_missing_input_names_the_option_that_gives_it(
    taskrunner: Command, tmp_path: Path
) -> None:
    path = tmp_path / "inputs.yaml"
    inputs = "[{name: image, type: string, required: true}, {name: n, type: number}]"
    path.write_text(pack("- {id: a, run: {uses: builtin:noop}}", spec=f"inputs: {inputs}"))

    missing = taskrunner("plan", str(path), "--input", "n=x")
    wrong = taskrunner("plan", str(path), "--input", "n=x", "--input", "image=app:1")

    assert missing.err.splitlines()[-1] == "try:   --input image=VALUE"
    assert "try:" not in wrong.err
