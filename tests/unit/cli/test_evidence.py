"""`evidence`: what verification says of good evidence, and that no change of it goes unnoticed.

The evidence is that of a run in a world in memory, made by the use cases.
"""

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization import PublicFormat as Form
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.usecases.read_run import run_log
from taskrunner_cli import evidence
from taskrunner_cli.errors import UsageMistakeError
from taskrunner_cli.evidence import Given, Report, Result
from tests.unit.cli.conftest import Command
from tests.unit.cli.fake_service import ARTIFACT, REPORT, FakeService, FakeStore
from tests.unit.usecases.given import TENANT, bundle_of
from tests.unit.usecases.proven import proven

WORLD = proven()
BUNDLE = bundle_of(WORLD) or b""
STATEMENT: dict[str, Any] = json.loads(WORLD.evidence.signed[0])
PEM = WORLD.evidence.public_key
KEY = evidence.read_key(PEM, "key.pem")
LOG = run_log(TENANT, "run-7", None, None, WORLD).text.encode()
ZIP = next(content for (_, path), content in WORLD.artifacts.files.items() if path.endswith("/zip"))
PLAN_HASH = WORLD.runs.head(TENANT, "run-7").run.plan_hash
PLAN: dict[str, Any] = WORLD.plans.document(TENANT, PLAN_HASH)
FILES = {"zip": ZIP, "how": b'"Succeeded"'}
DIGESTS = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
ALL = Given(journal=LOG, plan=json.dumps(PLAN).encode(), plan_hash=PLAN_HASH, artifacts=DIGESTS)


def verified(bundle: bytes = BUNDLE, **given: Any) -> Report:  # noqa: ANN401 -- a field of Given
    return evidence.verify(bundle, KEY, Given(**given))


def enveloped(payload: bytes, **changed: Any) -> bytes:  # noqa: ANN401 -- any JSON
    """The bundle with another payload, or other fields, and the signature that it had."""
    envelope = json.loads(BUNDLE) | {"payload": b64encode(payload).decode()} | changed
    return rfc8785.dumps(envelope)


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:  # noqa: ANN401
    """The path of each value in *value* that holds no other."""
    if isinstance(value, dict | list) and value:
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from leaves(value[key], (*path, key))
    else:
        yield path


def with_leaf_changed(document: Any, path: tuple[str | int, ...]) -> Any:  # noqa: ANN401 -- any JSON
    changed = json.loads(json.dumps(document))
    within = changed
    for key in path[:-1]:
        within = within[key]
    value = within[path[-1]]
    match value:
        case bool():
            within[path[-1]] = not value
        case int():
            within[path[-1]] = value + 1
        case str():
            within[path[-1]] = value + "x"
        case _:
            within[path[-1]] = "something"
    return changed


def one_byte_changed(content: bytes) -> Iterator[bytes]:
    """*content* with one byte changed in its last bit or its case, taken out, or put in."""
    for place, byte in enumerate(content):
        before, after = content[:place], content[place + 1 :]
        yield before + bytes([byte ^ 1]) + after
        yield before + bytes([byte ^ 0x20]) + after
        yield before + after
        yield before + b" " + content[place:]
    yield content + b"\n"


class TestGoodEvidence:
    def test_all_that_is_given_holds(self) -> None:
        report = evidence.verify(BUNDLE, KEY, ALL)

        assert [(one.name, one.result) for one in report.checks] == [
            ("envelope", Result.PASSED),
            ("signature", Result.PASSED),
            ("statement", Result.PASSED),
            ("journal", Result.PASSED),
            ("plan", Result.PASSED),
            ("artifact how", Result.PASSED),
            ("artifact zip", Result.PASSED),
        ]
        assert report.statement == STATEMENT

    def test_what_is_not_given_is_said_and_fails_nothing(self) -> None:
        report = verified()

        assert report.failed == ()
        assert [one.name for one in report.checks if one.result is Result.NOT_GIVEN] == [
            "journal",
            "plan",
            "artifact how",
            "artifact zip",
        ]

    def test_lines_after_the_end_are_said_not_to_be_covered(self) -> None:
        report = verified(journal=LOG + b'{"late": 1}\n{"later": 2}\n')

        (journal,) = (one for one in report.checks if one.name == "journal")
        assert (journal.result, journal.detail) == (
            Result.PASSED,
            "10 lines; 2 after the end are not covered",
        )


class TestTamperedEvidence:
    def test_every_byte_of_the_bundle_counts(self) -> None:
        unnoticed = [one for one in one_byte_changed(BUNDLE) if not verified(one).failed]

        assert unnoticed == []

    @pytest.mark.parametrize("length", [0, 1, len(BUNDLE) // 2, len(BUNDLE) - 1])
    def test_a_bundle_that_was_cut_off_is_none(self, length: int) -> None:
        assert verified(BUNDLE[:length]).failed == ("envelope",)

    def test_every_field_of_the_statement_is_signed(self) -> None:
        paths = list(leaves(STATEMENT))
        failed = {
            path: verified(enveloped(rfc8785.dumps(with_leaf_changed(STATEMENT, path)))).failed
            for path in paths
        }

        assert len(paths) > 80
        assert set(failed.values()) == {("signature",)}

    def test_every_field_of_the_envelope_counts(self) -> None:
        envelope = json.loads(BUNDLE)

        failed = {
            path[-1]: verified(rfc8785.dumps(with_leaf_changed(envelope, path))).failed
            for path in leaves(envelope)
        }

        assert set(failed) == {"payload", "payloadType", "keyid", "sig"}
        assert failed["keyid"] == ("signature",)
        assert all(failed.values())

    @pytest.mark.parametrize(
        "more", [{"a": 1}, {"signatures": []}, {"signatures": json.loads(BUNDLE)["signatures"] * 2}]
    )
    def test_an_envelope_has_one_signature_and_nothing_more(self, more: dict[str, Any]) -> None:
        payload = b64decode(json.loads(BUNDLE)["payload"])

        assert verified(enveloped(payload, **more)).failed == ("envelope",)

    def test_base64_with_slack_is_refused(self) -> None:
        """The last character before the padding has bits that no decoder looks at."""
        envelope = json.loads(BUNDLE)
        (signature,) = envelope["signatures"]
        text, alphabet = signature["sig"], "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
        end = text.rstrip("=")
        others = (end[:-1] + one + text[len(end) :] for one in alphabet + "0123456789+/")
        same = [one for one in others if b64decode(one) == b64decode(text) and one != text]
        for one in same:
            respelt = rfc8785.dumps(envelope | {"signatures": [signature | {"sig": one}]})

            assert verified(respelt).failed == ("envelope",)

    def test_another_key_did_not_sign_it(self) -> None:
        other = ec.generate_private_key(ec.SECP256R1()).public_key()
        pem = other.public_bytes(Encoding.PEM, Form.SubjectPublicKeyInfo)

        other_key = evidence.read_key(pem, "other.pem")

        report = evidence.verify(BUNDLE, other_key, ALL)

        assert report.failed == ("signature",)
        said = f"it names the key {KEY.keyid}; the given one is {other_key.keyid}"
        assert report.checks[1].detail == said
        assert {one.result for one in report.checks[2:]} == {Result.NOT_CHECKED}

    def test_a_key_that_names_itself_like_the_right_one_did_not_sign_it_either(self) -> None:
        other = ec.generate_private_key(ec.SECP256R1()).public_key()
        pem = other.public_bytes(Encoding.PEM, Form.SubjectPublicKeyInfo)
        key = evidence.read_key(pem, "other.pem")
        envelope = json.loads(BUNDLE)
        envelope["signatures"][0]["keyid"] = key.keyid

        assert evidence.verify(rfc8785.dumps(envelope), key, ALL).failed == ("signature",)

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"_type": "https://in-toto.io/Statement/v0.1"}, "_type: "),
            ({"predicateType": "https://slsa.dev/provenance/v1"}, "predicateType: "),
            ({"subject": []}, "subjects"),
            ({"subject": STATEMENT["subject"][::-1]}, "subjects"),
            ({"predicate": {}}, "predicate.run: Field required"),
            ({"predicate": None}, "predicate: "),
        ],
    )
    def test_a_signed_statement_of_another_kind_is_refused(
        self, changed: dict[str, Any], said: str
    ) -> None:
        bundle = WORLD.evidence.sign(rfc8785.dumps(STATEMENT | changed)).bundle

        report = verified(bundle)

        assert report.failed == ("statement",)
        assert said in report.checks[2].detail

    def test_a_signed_statement_in_another_form_is_refused(self) -> None:
        bundle = WORLD.evidence.sign(json.dumps(STATEMENT).encode()).bundle

        assert verified(bundle).failed == ("statement",)

    def test_a_signed_list_is_no_statement(self) -> None:
        assert verified(WORLD.evidence.sign(b"[]").bundle).failed == ("statement",)

    def test_every_byte_of_the_log_counts(self) -> None:
        covered = list(one_byte_changed(LOG))[:-1]  # what is added behind the end is not covered

        unnoticed = [one for one in covered if verified(journal=one).failed != ("journal",)]

        assert unnoticed == []

    def test_every_line_of_the_log_counts_in_its_place(self) -> None:
        lines = LOG.splitlines(keepends=True)
        without = [lines[:place] + lines[place + 1 :] for place in range(len(lines))]
        twice = [lines[:place] + lines[place - 1 :] for place in range(1, len(lines))]
        swapped = [
            [*lines[:place], lines[place + 1], lines[place], *lines[place + 2 :]]
            for place in range(len(lines) - 1)
        ]

        changed = [b"".join(one) for one in (*without, *twice, *swapped)]
        assert {verified(journal=one).failed for one in changed} == {("journal",)}

    def test_every_byte_of_an_artifact_counts(self) -> None:
        for name, content in FILES.items():
            digests = [hashlib.sha256(one).hexdigest() for one in one_byte_changed(content)]

            failed = {verified(artifacts={name: digest}).failed for digest in digests}
            assert failed == {(f"artifact {name}",)}

    @pytest.mark.parametrize("name", ["other", "missing"])
    def test_an_artifact_that_was_not_captured_fails(self, name: str) -> None:
        assert verified(artifacts={name: DIGESTS["zip"]}).failed == (f"artifact {name}",)

    def test_every_field_of_the_plan_counts(self) -> None:
        changed = [with_leaf_changed(PLAN, path) for path in leaves(PLAN)]

        failed = {verified(plan=json.dumps(one).encode()).failed for one in changed}
        assert failed == {("plan",)}

    @pytest.mark.parametrize("plan", [b"", b"no json", b'{"a": 1e999}', b'{"a": "\\ud800"}'])
    def test_what_is_no_plan_fails_as_such(self, plan: bytes) -> None:
        assert verified(plan=plan).failed == ("plan",)

    def test_another_plan_hash_fails(self) -> None:
        assert verified(plan_hash=PLAN_HASH[:-1] + "x").failed == ("plan",)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
FIELDS = ["payload", "payloadType", "signatures", "keyid", "sig"]


class TestAnything:
    """Whatever stands there, a check says so; nothing is raised at whoever verifies."""

    @given(st.sampled_from(FIELDS), ANY_JSON)
    def test_in_an_envelope(self, field: str, value: Any) -> None:  # noqa: ANN401 -- any JSON
        envelope = json.loads(BUNDLE)
        place = envelope if field in envelope else envelope["signatures"][0]
        place[field] = value

        assert verified(json.dumps(envelope).encode()).failed == ("envelope",)

    @given(st.one_of(st.binary(), ANY_JSON.map(lambda value: json.dumps(value).encode())))
    def test_as_an_envelope_and_as_a_signed_statement(self, content: bytes) -> None:
        assert verified(content).failed == ("envelope",)
        assert verified(WORLD.evidence.sign(content).bundle).failed == ("statement",)

    @given(st.sampled_from(list(leaves(STATEMENT))), st.integers(0, 4), ANY_JSON)
    def test_in_a_signed_statement(
        self,
        path: tuple[str | int, ...],
        depth: int,
        value: Any,  # noqa: ANN401 -- any JSON
    ) -> None:
        changed = json.loads(json.dumps(STATEMENT))
        within = changed
        for key in path[:depth][:-1]:
            within = within[key]
        within[path[min(depth, len(path)) - 1] if depth else "more"] = value
        try:
            statement = rfc8785.dumps(changed)
        except rfc8785.CanonicalizationError:
            statement = json.dumps(changed).encode()

        report = evidence.verify(WORLD.evidence.sign(statement).bundle, KEY, ALL)

        assert [one.result for one in report.checks[:2]] == [Result.PASSED, Result.PASSED]
        assert (report.statement is None) == (report.failed == ("statement",))

    @pytest.mark.parametrize("content", [b"[" * 100_000, b"1" * 10_000])
    def test_json_that_no_parser_takes(self, content: bytes) -> None:
        assert verified(content).failed == ("envelope",)
        assert verified(plan=content).failed == ("plan",)


class TestKeys:
    @pytest.mark.parametrize(
        "pem",
        [
            b"",
            b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
            WORLD.evidence.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        ],
    )
    def test_what_is_no_public_key_is_said_with_its_file(self, pem: bytes) -> None:
        with pytest.raises(UsageMistakeError, match=r"k\.pem is no public key in PEM"):
            evidence.read_key(pem, "k.pem")

    def test_a_key_of_another_kind_is_refused(self) -> None:
        others: list[ec.EllipticCurvePublicKey | rsa.RSAPublicKey] = [
            ec.generate_private_key(ec.SECP384R1()).public_key(),
            rsa.generate_private_key(65537, 2048).public_key(),
        ]
        for other in others:
            with pytest.raises(UsageMistakeError, match="no key of the curve P-256"):
                evidence.read_key(other.public_bytes(Encoding.PEM, Form.SubjectPublicKeyInfo), "k")


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """What `fetch` leaves, and the key beside it."""
    folder = tmp_path / "run-7.evidence"
    (folder / "artifacts").mkdir(parents=True)
    (folder / "run-7.evidence.json").write_bytes(BUNDLE)
    (folder / "run.log").write_bytes(LOG)
    for name, content in FILES.items():
        (folder / "artifacts" / name).write_bytes(content)
    (tmp_path / "key.pem").write_bytes(PEM)
    return folder


class TestVerify:
    def test_a_folder_is_verified_with_all_that_is_in_it(
        self, taskrunner: Command, folder: Path
    ) -> None:
        ended = taskrunner("evidence", "verify", str(folder), "--key", f"{folder}/../key.pem")

        assert ended.code == 0
        assert "run-7 of acme, succeeded" in ended.out
        assert ended.out.count("✓ passed") == 6
        assert ended.out.count("not given") == 1

    def test_files_are_named_one_by_one(self, taskrunner: Command, folder: Path) -> None:
        plan = folder / "a-plan.json"
        plan.write_text(json.dumps(PLAN))
        words = ["--journal", f"{folder}/run.log", "--plan", str(plan), "--plan-hash", PLAN_HASH]
        words += ["--artifact", f"zip={folder}/artifacts/zip", "--key", f"{folder}/../key.pem"]

        ended = taskrunner("evidence", "verify", f"{folder}/run-7.evidence.json", *words, "-ojson")

        assert (ended.code, ended.document["holds"]) == (0, True)
        assert {one["check"]: one["result"] for one in ended.document["checks"]} == {
            "envelope": "passed",
            "signature": "passed",
            "statement": "passed",
            "journal": "passed",
            "plan": "passed",
            "artifact how": "not given",
            "artifact zip": "passed",
        }
        assert ended.document["statement"] == STATEMENT

    @pytest.mark.parametrize(
        ("file", "check"),
        [
            ("run-7.evidence.json", "envelope"),
            ("run.log", "journal"),
            ("artifacts/zip", "artifact zip"),
            ("artifacts/how", "artifact how"),
        ],
    )
    def test_the_check_that_fails_is_named(
        self, taskrunner: Command, folder: Path, file: str, check: str
    ) -> None:
        content = (folder / file).read_bytes()
        (folder / file).write_bytes(content[:-2] + b"?" + content[-1:])
        words = ("evidence", "verify", str(folder), "--key", f"{folder}/../key.pem")

        said, told = taskrunner(*words), taskrunner(*words, "-o", "json")

        assert (said.code, told.code) == (1, 1)
        assert f"failed: {check}" in said.err
        assert told.error["error"]["code"] == "evidence_failed"
        results = {one["check"]: one["result"] for one in told.document["checks"]}
        assert (results[check], told.document["holds"]) == ("failed", False)

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["nowhere.json", "--key", "key.pem"], "cannot read nowhere.json: No such file"),
            (["run-7.evidence", "--key", "nowhere.pem"], "cannot read nowhere.pem"),
            (["run-7.evidence"], "Missing option '--key'"),
            ([".", "--key", "key.pem"], "has 0 files *.evidence.json, not one"),
            (["run-7.evidence", "--key", "run-7.evidence/run.log"], "is no public key in PEM"),
            (["run-7.evidence", "--key", "key.pem", "--artifact", "zip"], "is not NAME=PATH"),
            (["run-7.evidence", "--key", "key.pem", "--journal", "no.log"], "cannot read no.log"),
        ],
    )
    def test_what_cannot_be_read_is_named(
        self,
        taskrunner: Command,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        words: list[str],
        said: str,
    ) -> None:
        monkeypatch.chdir(folder.parent)

        ended = taskrunner("evidence", "verify", *words)

        assert (ended.code, said in ended.err) == (2, True), ended.err

    def test_nobody_is_asked(self, taskrunner: Command, folder: Path, service: FakeService) -> None:
        taskrunner("evidence", "verify", str(folder), "--key", f"{folder}/../key.pem")

        assert service.seen == []


SEALED = {"name": "evidence-bundle", "type": "object", "status": "captured"}
VALUE = {"name": "how", "type": "object", "status": "captured", "expressionJson": '"é"'}
MISSING = {"name": "missing", "type": "file", "status": "failed"}


class TestFetch:
    def test_everything_that_verify_takes_is_saved(
        self, taskrunner: Command, service: FakeService, store: FakeStore, tmp_path: Path
    ) -> None:
        run = service.add("r1", "hello", ticks=2)
        run.artifacts += [SEALED, VALUE, MISSING]
        store.files["evidence-bundle"] = BUNDLE
        target = tmp_path / "here"

        ended = taskrunner("evidence", "fetch", "r1", "--to", str(target), "-o", "json")

        assert ended.code == 0
        assert {str(one.relative_to(target)) for one in target.rglob("*") if one.is_file()} == {
            "r1.evidence.json",
            "run.log",
            f"artifacts/{ARTIFACT['name']}",
            "artifacts/how",
        }
        assert (target / "r1.evidence.json").read_bytes() == BUNDLE
        assert (target / "artifacts" / "scan-report").read_bytes() == REPORT
        assert (target / "artifacts" / "how").read_bytes() == '"é"'.encode()
        lines = (target / "run.log").read_text().splitlines()
        assert [json.loads(line) for line in lines] == run.log

    def test_it_waits_for_the_evidence_of_a_run_that_has_just_ended(
        self, taskrunner: Command, service: FakeService, tmp_path: Path
    ) -> None:
        run = service.add("r1", "hello", ticks=2)
        looks = iter([[], [], [SEALED]])
        tick = run.tick

        def tick_and_seal() -> None:
            tick()
            run.artifacts += next(looks)

        run.tick = tick_and_seal  # type: ignore[method-assign]

        assert taskrunner("evidence", "fetch", "r1", "--to", str(tmp_path / "x")).code == 0

    def test_evidence_that_does_not_come_is_said(
        self, taskrunner: Command, service: FakeService, tmp_path: Path
    ) -> None:
        service.add("r1", "hello", ticks=2)

        ended = taskrunner("evidence", "fetch", "r1", "--to", str(tmp_path / "x"))

        assert ended.code == 1
        assert "has no evidence yet" in ended.err

    def test_a_run_that_goes_on_has_none(self, taskrunner: Command, service: FakeService) -> None:
        service.add("r1")

        ended = taskrunner("evidence", "fetch", "r1")

        assert ended.code == 1
        assert "run r1 is queued; its evidence is made when it ends" in ended.err

    def test_a_folder_that_cannot_be_made_is_named(
        self, taskrunner: Command, service: FakeService, tmp_path: Path
    ) -> None:
        service.add("r1", "hello", ticks=2).artifacts.append(SEALED)
        (tmp_path / "file").write_text("")

        ended = taskrunner("evidence", "fetch", "r1", "--to", str(tmp_path / "file"))

        assert (ended.code, "cannot write into" in ended.err) == (2, True)
