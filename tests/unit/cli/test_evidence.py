"""`evidence`: valid evidence passes every check, and any change to it makes a check fail.

The use cases make the evidence, from a run in a world in memory.
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
from taskrunner_cli.api.documents import Artifact
from taskrunner_cli.errors import UsageError
from taskrunner_cli.evidence import verification
from taskrunner_cli.evidence.verification import Material, Report, Result
from tests.fakes.evidence import PRIVATE_KEY
from tests.unit.cli.conftest import Command
from tests.unit.cli.fake_service import ARTIFACT, REPORT, FakeService, FakeStore
from tests.unit.usecases.evidence_run import proven
from tests.unit.usecases.scenarios import TENANT, bundle_of

WORLD = proven()
BUNDLE = bundle_of(WORLD) or b""
STATEMENT: dict[str, Any] = json.loads(WORLD.evidence.signed[0])
PEM = WORLD.evidence.public_key
KEY = verification.read_key(PEM, "key.pem")
LOG = run_log(TENANT, "run-7", None, None, WORLD).text.encode()
ZIP = next(content for (_, path), content in WORLD.artifacts.files.items() if path.endswith("/zip"))
PLAN_HASH = WORLD.runs.snapshot(TENANT, "run-7").run.plan_hash
PLAN: dict[str, Any] = WORLD.plans.document(TENANT, PLAN_HASH)
FILES = {"zip": ZIP, "how": b'"Succeeded"'}
DIGESTS = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
CHECKED_BUNDLE = verification.check_bundle(BUNDLE, KEY)
ALL = Material(journal=LOG, plan=json.dumps(PLAN).encode(), plan_hash=PLAN_HASH, artifacts=DIGESTS)


def verify(bundle: bytes = BUNDLE, **material: Any) -> Report:  # noqa: ANN401 -- its fields
    return verification.verify(bundle, KEY, Material(**material))


def compare(**material: Any) -> Report:  # noqa: ANN401 -- its fields
    """Compare *material* with the bundle, which is checked once for all tests."""
    return verification.compare(CHECKED_BUNDLE, Material(**material))


def bundle_with(payload: bytes, **members: Any) -> bytes:  # noqa: ANN401 -- any JSON
    """The bundle with another payload and other members, but with its old signature."""
    envelope = json.loads(BUNDLE) | {"payload": b64encode(payload).decode()} | members
    return rfc8785.dumps(envelope)


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:  # noqa: ANN401
    """The path of every value in *value* that is not an object or an array."""
    if isinstance(value, dict | list) and value:
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from leaves(value[key], (*path, key))
    else:
        yield path


def with_leaf_changed(document: Any, path: tuple[str | int, ...]) -> Any:  # noqa: ANN401 -- any JSON
    changed = json.loads(json.dumps(document))
    parent = changed
    for key in path[:-1]:
        parent = parent[key]
    value = parent[path[-1]]
    match value:
        case bool():
            parent[path[-1]] = not value
        case int():
            parent[path[-1]] = value + 1
        case str():
            parent[path[-1]] = value + "x"
        case _:
            parent[path[-1]] = "something"
    return changed


def changes_of_one_byte(content: bytes) -> Iterator[bytes]:
    """*content* with its bytes, one at a time, changed in a bit or in case, removed, or added."""
    for position, byte in enumerate(content):
        before, after = content[:position], content[position + 1 :]
        yield before + bytes([byte ^ 1]) + after
        yield before + bytes([byte ^ 0x20]) + after
        yield before + after
        yield before + b" " + content[position:]
    yield content + b"\n"


class TestValidEvidence:
    def test_passes_every_check(self) -> None:
        report = verification.verify(BUNDLE, KEY, ALL)

        assert [(check.name, check.result) for check in report.checks] == [
            ("envelope", Result.PASSED),
            ("signature", Result.PASSED),
            ("statement", Result.PASSED),
            ("journal", Result.PASSED),
            ("plan", Result.PASSED),
            ("artifact how", Result.PASSED),
            ("artifact zip", Result.PASSED),
        ]
        assert report.document == STATEMENT

    @pytest.mark.parametrize(
        ("name", "creator"), [({}, "ana"), ({"createdByName": "nightly"}, "nightly (ana)")]
    )
    def test_names_the_creator_of_the_run(
        self, taskrunner: Command, tmp_path: Path, name: dict[str, str], creator: str
    ) -> None:
        predicate = STATEMENT["predicate"]
        named = {**predicate, "run": {**predicate["run"], **name}}
        bundle, key = tmp_path / "run.evidence.json", tmp_path / "key.pem"
        signed = WORLD.evidence.sign(rfc8785.dumps({**STATEMENT, "predicate": named}))
        bundle.write_bytes(signed.bundle)
        key.write_bytes(PEM)

        out = taskrunner("evidence", "verify", str(bundle), "--key", str(key)).out

        assert f" by {creator}\n" in out

    def test_material_that_is_not_given_fails_no_check(self) -> None:
        report = verify()

        assert report.failed == ()
        assert [check.name for check in report.checks if check.result is Result.NOT_GIVEN] == [
            "journal",
            "plan",
            "artifact how",
            "artifact zip",
        ]

    def test_counts_log_lines_after_the_end_of_the_run(self) -> None:
        report = verify(journal=LOG + b'{"late": 1}\n{"later": 2}\n')

        (journal,) = (check for check in report.checks if check.name == "journal")
        assert (journal.result, journal.detail) == (
            Result.PASSED,
            "10 lines; 2 after the end are not covered",
        )


class TestTamperedEvidence:
    def test_a_changed_byte_of_the_bundle_is_detected(self) -> None:
        undetected = [
            changed for changed in changes_of_one_byte(BUNDLE) if not verify(changed).failed
        ]

        assert undetected == []

    # The bundle's length differs from process to process, so it may be in no test's name.
    @pytest.mark.parametrize(
        "length",
        [0, 1, len(BUNDLE) // 2, len(BUNDLE) - 1],
        ids=["nothing", "a byte", "half", "all but a byte"],
    )
    def test_rejects_a_truncated_bundle(self, length: int) -> None:
        assert verify(BUNDLE[:length]).failed == ("envelope",)

    def test_a_changed_member_of_the_statement_breaks_the_signature(self) -> None:
        paths = list(leaves(STATEMENT))
        failed = {
            path: verify(bundle_with(rfc8785.dumps(with_leaf_changed(STATEMENT, path)))).failed
            for path in paths
        }

        assert len(paths) > 80
        assert set(failed.values()) == {("signature",)}

    def test_a_changed_member_of_the_envelope_is_detected(self) -> None:
        envelope = json.loads(BUNDLE)

        failed = {
            path[-1]: verify(rfc8785.dumps(with_leaf_changed(envelope, path))).failed
            for path in leaves(envelope)
        }

        assert set(failed) == {"payload", "payloadType", "keyid", "sig"}
        assert failed["keyid"] == ("signature",)
        assert all(failed.values())

    @pytest.mark.parametrize(
        "more", [{"a": 1}, {"signatures": []}, {"signatures": json.loads(BUNDLE)["signatures"] * 2}]
    )
    def test_rejects_other_members_and_other_numbers_of_signatures(
        self, more: dict[str, Any]
    ) -> None:
        payload = b64decode(json.loads(BUNDLE)["payload"])

        assert verify(bundle_with(payload, **more)).failed == ("envelope",)

    def test_rejects_base64_with_unused_bits_set(self) -> None:
        """The last character before the padding has bits that decoders ignore."""
        envelope = json.loads(BUNDLE)
        (signature,) = envelope["signatures"]
        text, alphabet = signature["sig"], "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
        digits = text.rstrip("=")
        variants = [
            digits[:-1] + digit + text[len(digits) :] for digit in alphabet + "0123456789+/"
        ]
        equal = [
            variant
            for variant in variants
            if b64decode(variant) == b64decode(text) and variant != text
        ]
        for variant in equal:
            bundle = rfc8785.dumps(envelope | {"signatures": [signature | {"sig": variant}]})

            assert verify(bundle).failed == ("envelope",)

    def test_rejects_another_key(self) -> None:
        other = ec.generate_private_key(ec.SECP256R1()).public_key()
        pem = other.public_bytes(Encoding.PEM, Form.SubjectPublicKeyInfo)

        other_key = verification.read_key(pem, "other.pem")

        report = verification.verify(BUNDLE, other_key, ALL)

        assert report.failed == ("signature",)
        detail = f"the envelope names the key {KEY.keyid}, the given key is {other_key.keyid}"
        assert report.checks[1].detail == detail
        assert {check.result for check in report.checks[2:]} == {Result.NOT_CHECKED}

    def test_rejects_another_key_whose_id_the_envelope_names(self) -> None:
        other = ec.generate_private_key(ec.SECP256R1()).public_key()
        pem = other.public_bytes(Encoding.PEM, Form.SubjectPublicKeyInfo)
        key = verification.read_key(pem, "other.pem")
        envelope = json.loads(BUNDLE)
        envelope["signatures"][0]["keyid"] = key.keyid

        assert verification.verify(rfc8785.dumps(envelope), key, ALL).failed == ("signature",)

    @pytest.mark.parametrize(
        ("changed", "detail"),
        [
            ({"_type": "https://in-toto.io/Statement/v0.1"}, "_type: "),
            ({"predicateType": "https://slsa.dev/provenance/v1"}, "predicateType: "),
            ({"subject": []}, "subjects"),
            ({"subject": STATEMENT["subject"][::-1]}, "subjects"),
            ({"predicate": {}}, "predicate.run: Field required"),
            ({"predicate": None}, "predicate: "),
        ],
    )
    def test_rejects_a_signed_statement_of_another_type(
        self, changed: dict[str, Any], detail: str
    ) -> None:
        bundle = WORLD.evidence.sign(rfc8785.dumps(STATEMENT | changed)).bundle

        report = verify(bundle)

        assert report.failed == ("statement",)
        assert detail in report.checks[2].detail

    def test_rejects_a_signed_statement_that_is_not_canonical(self) -> None:
        bundle = WORLD.evidence.sign(json.dumps(STATEMENT).encode()).bundle

        assert verify(bundle).failed == ("statement",)

    def test_rejects_a_signed_list(self) -> None:
        assert verify(WORLD.evidence.sign(b"[]").bundle).failed == ("statement",)

    def test_a_changed_byte_of_the_log_is_detected(self) -> None:
        changes = list(changes_of_one_byte(LOG))[:-1]  # text after the end is not covered

        undetected = [log for log in changes if compare(journal=log).failed != ("journal",)]

        assert undetected == []

    def test_a_removed_repeated_or_moved_line_of_the_log_is_detected(self) -> None:
        lines = LOG.splitlines(keepends=True)
        removed = [lines[:number] + lines[number + 1 :] for number in range(len(lines))]
        repeated = [lines[:number] + lines[number - 1 :] for number in range(1, len(lines))]
        swapped = [
            [*lines[:number], lines[number + 1], lines[number], *lines[number + 2 :]]
            for number in range(len(lines) - 1)
        ]

        logs = [b"".join(changed) for changed in (*removed, *repeated, *swapped)]
        assert {compare(journal=log).failed for log in logs} == {("journal",)}

    def test_a_changed_byte_of_an_artifact_is_detected(self) -> None:
        for name, content in FILES.items():
            digests = [
                hashlib.sha256(changed).hexdigest() for changed in changes_of_one_byte(content)
            ]

            failed = {compare(artifacts={name: digest}).failed for digest in digests}
            assert failed == {(f"artifact {name}",)}

    @pytest.mark.parametrize("name", ["other", "missing"])
    def test_rejects_an_artifact_that_was_not_captured(self, name: str) -> None:
        assert verify(artifacts={name: DIGESTS["zip"]}).failed == (f"artifact {name}",)

    def test_a_changed_member_of_the_plan_is_detected(self) -> None:
        plans = [with_leaf_changed(PLAN, path) for path in leaves(PLAN)]

        failed = {verify(plan=json.dumps(plan).encode()).failed for plan in plans}
        assert failed == {("plan",)}

    @pytest.mark.parametrize(
        "plan", [b"", b"no json", b'{"a": 1e999}', b'{"a": "\\ud800"}', b'{"\\ud800": 1}']
    )
    def test_rejects_a_plan_that_is_not_canonical_json(self, plan: bytes) -> None:
        assert verify(plan=plan).failed == ("plan",)

    def test_rejects_another_plan_hash(self) -> None:
        assert verify(plan_hash=PLAN_HASH[:-1] + "x").failed == ("plan",)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
FIELDS = ["payload", "payloadType", "signatures", "keyid", "sig"]


class TestArbitraryEvidence:
    """Arbitrary JSON and bytes make a check fail, and never raise an error."""

    @given(st.sampled_from(FIELDS), ANY_JSON)
    def test_arbitrary_json_in_an_envelope(self, field: str, value: Any) -> None:  # noqa: ANN401 -- any JSON
        envelope = json.loads(BUNDLE)
        parent = envelope if field in envelope else envelope["signatures"][0]
        parent[field] = value

        assert verify(json.dumps(envelope).encode()).failed == ("envelope",)

    @given(st.one_of(st.binary(), ANY_JSON.map(lambda value: json.dumps(value).encode())))
    def test_arbitrary_bytes_as_an_envelope_and_as_a_signed_statement(self, content: bytes) -> None:
        assert verify(content).failed == ("envelope",)
        assert verify(WORLD.evidence.sign(content).bundle).failed == ("statement",)

    @given(st.sampled_from(list(leaves(STATEMENT))), st.integers(0, 4), ANY_JSON)
    def test_arbitrary_json_in_a_signed_statement(
        self,
        path: tuple[str | int, ...],
        depth: int,
        value: Any,  # noqa: ANN401 -- any JSON
    ) -> None:
        changed = json.loads(json.dumps(STATEMENT))
        parent = changed
        for key in path[:depth][:-1]:
            parent = parent[key]
        parent[path[min(depth, len(path)) - 1] if depth else "more"] = value
        try:
            statement = rfc8785.dumps(changed)
        except rfc8785.CanonicalizationError:
            statement = json.dumps(changed).encode()

        report = verification.verify(WORLD.evidence.sign(statement).bundle, KEY, ALL)

        assert [check.result for check in report.checks[:2]] == [Result.PASSED, Result.PASSED]
        assert (report.statement is None) == (report.failed == ("statement",))

    @pytest.mark.parametrize("content", [b"[" * 100_000, b"1" * 10_000])
    def test_json_that_exceeds_the_parsers_limits(self, content: bytes) -> None:
        assert verify(content).failed == ("envelope",)
        assert verify(plan=content).failed == ("plan",)


class TestKeys:
    @pytest.mark.parametrize(
        "pem",
        [
            b"",
            b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
            PRIVATE_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        ],
    )
    def test_rejects_a_file_that_is_not_a_public_key(self, pem: bytes) -> None:
        with pytest.raises(UsageError, match=r"k\.pem is not a public key in PEM"):
            verification.read_key(pem, "k.pem")

    def test_rejects_a_key_of_another_type(self) -> None:
        others: list[ec.EllipticCurvePublicKey | rsa.RSAPublicKey] = [
            ec.generate_private_key(ec.SECP384R1()).public_key(),
            rsa.generate_private_key(65537, 2048).public_key(),
        ]
        for other in others:
            with pytest.raises(UsageError, match="not a key of the curve P-256"):
                verification.read_key(
                    other.public_bytes(Encoding.PEM, Form.SubjectPublicKeyInfo), "k"
                )


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """A folder as `fetch` writes it, and the public key beside it."""
    folder = tmp_path / "run-7.evidence"
    (folder / "artifacts").mkdir(parents=True)
    (folder / "run-7.evidence.json").write_bytes(BUNDLE)
    (folder / "run.log").write_bytes(LOG)
    for name, content in FILES.items():
        (folder / "artifacts" / name).write_bytes(content)
    (tmp_path / "key.pem").write_bytes(PEM)
    return folder


class TestVerify:
    def test_verifies_all_files_of_a_folder(self, taskrunner: Command, folder: Path) -> None:
        ended = taskrunner("evidence", "verify", str(folder), "--key", f"{folder}/../key.pem")

        assert ended.code == 0
        assert "run-7 of acme, succeeded" in ended.out
        assert ended.out.count("✓ passed") == 6
        assert ended.out.count("not given") == 1

    def test_verifies_files_that_options_name(self, taskrunner: Command, folder: Path) -> None:
        plan = folder / "a-plan.json"
        plan.write_text(json.dumps(PLAN))
        words = ["--journal", f"{folder}/run.log", "--plan", str(plan), "--plan-hash", PLAN_HASH]
        words += ["--artifact", f"zip={folder}/artifacts/zip", "--key", f"{folder}/../key.pem"]

        ended = taskrunner("evidence", "verify", f"{folder}/run-7.evidence.json", *words, "-ojson")

        assert (ended.code, ended.document["holds"]) == (0, True)
        assert {check["check"]: check["result"] for check in ended.document["checks"]} == {
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
    def test_names_the_check_that_fails(
        self, taskrunner: Command, folder: Path, file: str, check: str
    ) -> None:
        content = (folder / file).read_bytes()
        (folder / file).write_bytes(content[:-2] + b"?" + content[-1:])
        words = ("evidence", "verify", str(folder), "--key", f"{folder}/../key.pem")

        as_text, as_json = taskrunner(*words), taskrunner(*words, "-o", "json")

        assert (as_text.code, as_json.code) == (1, 1)
        assert f"failed: {check}" in as_text.err
        assert as_json.error["error"]["code"] == "evidence_failed"
        results = {entry["check"]: entry["result"] for entry in as_json.document["checks"]}
        assert (results[check], as_json.document["holds"]) == ("failed", False)

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["nowhere.json", "--key", "key.pem"], "cannot read nowhere.json: No such file"),
            (["run-7.evidence", "--key", "nowhere.pem"], "cannot read nowhere.pem"),
            (["run-7.evidence"], "Missing option '--key'"),
            ([".", "--key", "key.pem"], "has 0 files *.evidence.json, not one"),
            (["run-7.evidence", "--key", "run-7.evidence/run.log"], "is not a public key in PEM"),
            (["run-7.evidence", "--key", "key.pem", "--artifact", "zip"], "is not NAME=PATH"),
            (["run-7.evidence", "--key", "key.pem", "--journal", "no.log"], "cannot read no.log"),
        ],
    )
    def test_names_the_file_or_option_that_cannot_be_used(
        self,
        taskrunner: Command,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        words: list[str],
        message: str,
    ) -> None:
        monkeypatch.chdir(folder.parent)

        ended = taskrunner("evidence", "verify", *words)

        assert (ended.code, message in ended.err) == (2, True), ended.err

    def test_does_not_call_the_service(
        self, taskrunner: Command, folder: Path, service: FakeService
    ) -> None:
        taskrunner("evidence", "verify", str(folder), "--key", f"{folder}/../key.pem")

        assert service.requests == []


SIGNED: Artifact = {"name": "evidence-bundle", "type": "object", "status": "captured"}
VALUE: Artifact = {"name": "how", "type": "object", "status": "captured", "expressionJson": '"é"'}
MISSING: Artifact = {"name": "missing", "type": "file", "status": "failed"}


class TestFetch:
    def test_saves_all_files_that_verify_reads(
        self, taskrunner: Command, service: FakeService, store: FakeStore, tmp_path: Path
    ) -> None:
        run = service.add("r1", "hello", ticks=2)
        run.artifacts += [SIGNED, VALUE, MISSING]
        store.files["evidence-bundle"] = BUNDLE
        target = tmp_path / "here"

        ended = taskrunner("evidence", "fetch", "r1", "--to", str(target), "-o", "json")

        assert ended.code == 0
        assert {str(file.relative_to(target)) for file in target.rglob("*") if file.is_file()} == {
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

    def test_waits_for_the_evidence_of_a_run_that_has_just_ended(
        self, taskrunner: Command, service: FakeService, tmp_path: Path
    ) -> None:
        run = service.add("r1", "hello", ticks=2)
        run.artifacts_at_ticks = [[], [], [SIGNED]]

        assert taskrunner("evidence", "fetch", "r1", "--to", str(tmp_path / "x")).code == 0

    def test_gives_up_if_no_evidence_is_signed(
        self, taskrunner: Command, service: FakeService, tmp_path: Path
    ) -> None:
        service.add("r1", "hello", ticks=2)

        ended = taskrunner("evidence", "fetch", "r1", "--to", str(tmp_path / "x"))

        assert ended.code == 1
        assert "has no evidence yet" in ended.err

    def test_rejects_a_run_that_has_not_ended(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.add("r1")

        ended = taskrunner("evidence", "fetch", "r1")

        assert ended.code == 1
        assert "run r1 is queued; its evidence is signed when it ends" in ended.err

    def test_names_a_folder_that_cannot_be_created(
        self, taskrunner: Command, service: FakeService, tmp_path: Path
    ) -> None:
        service.add("r1", "hello", ticks=2).artifacts.append(SIGNED)
        (tmp_path / "file").write_text("")

        ended = taskrunner("evidence", "fetch", "r1", "--to", str(tmp_path / "file"))

        assert (ended.code, "cannot write into" in ended.err) == (2, True)
