"""`login`, `logout` and `profiles`, against a fake issuer and a fake browser."""

import base64
import hashlib
import html
import json
import stat
import sys
import threading
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from taskrunner_cli.api.loopback import Loopback
from taskrunner_cli.api.saved_tokens import SavedToken, TokenFile, saved_tokens
from taskrunner_cli.api.sign_in import CALLBACK_PATH, LOOPBACK_PORTS
from taskrunner_cli.errors import CommandError, UsageError
from taskrunner_cli.world import World
from tests.template import template
from tests.unit.cli.conftest import Command
from tests.unit.cli.fake_http import Answer, Request, serving
from tests.unit.cli.fake_service import FakeService

CODE = "the-code"
TOKEN = "token-of-alice"


@dataclass
class FakeIssuer:
    """An issuer of tokens for codes, and the page of a console that names it."""

    origin: str = ""
    requests: list[Request] = field(default_factory=list)
    challenge: str = ""
    answer: Answer | None = None
    refresh_token: str = ""
    """The refresh token of the moment; empty for an issuer that renews none."""
    renewals: list[dict[str, str]] = field(default_factory=list)
    next_renewals: list[Answer] = field(default_factory=list)
    """The answers to the next renewals."""
    has_console: bool = True
    authorize_url: str = ""
    """The address at which people sign in; empty for the issuer's own."""

    def route(self, request: Request) -> Answer:
        self.requests.append(request)
        if request.path == "/live/console" and self.has_console:
            settings = {
                "authorizeUrl": self.authorize_url or f"{self.origin}/oauth2/authorize",
                "tokenUrl": f"{self.origin}/oauth2/token",
                "clientId": "console",
                "scopes": "taskrunner/viewer taskrunner/operator",
            }
            meta = f'<meta name="taskrunner" content="{html.escape(json.dumps(settings))}">'
            return Answer(200, f"<!doctype html>{meta}".encode())
        if request.path == "/oauth2/token":
            return self.answer or self._redeem(request)
        return Answer(404)

    def _redeem(self, request: Request) -> Answer:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        if form["grant_type"] == "refresh_token":
            return self._renew(form)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        is_right = base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == self.challenge
        if form["code"] != CODE or not is_right or "authorization" in request.headers:
            return Answer(400, {"error": "invalid_grant"})
        return Answer(200, self._tokens(TOKEN))

    def _renew(self, form: dict[str, str]) -> Answer:
        self.renewals.append(form)
        if self.next_renewals:
            return self.next_renewals.pop(0)
        if not self.refresh_token or form["refresh_token"] != self.refresh_token:
            return Answer(400, {"error": "invalid_grant"})
        return Answer(200, self._tokens(f"{TOKEN}-{len(self.renewals)}"))

    def _tokens(self, token: str) -> dict[str, Any]:
        renewal = {"refresh_token": self.refresh_token} if self.refresh_token else {}
        return {"access_token": token, "expires_in": 3600, **renewal}


@dataclass
class FakeBrowser:
    """A browser in which somebody signs in at once; *query* is what the issuer answers."""

    issuer: FakeIssuer
    query: str = f"code={CODE}"
    is_found: bool = True
    state: str | None = None
    addresses: list[str] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)

    def show(self, url: str) -> bool:
        self.addresses.append(url)
        if self.is_found:
            self.threads.append(threading.Thread(target=_visit, args=(self.back(url),)))
            self.threads[-1].start()
        return self.is_found

    def back(self, url: str) -> str:
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        self.issuer.challenge = query["code_challenge"]
        state = quote(query["state"] if self.state is None else self.state)
        return f"{query['redirect_uri']}?{self.query}&state={state}"


def _visit(url: str) -> None:
    address = url.replace("//localhost", "//127.0.0.1")
    try:
        with urllib.request.urlopen(address, timeout=10) as page:  # noqa: S310 -- our own
            page.read()
    except urllib.error.HTTPError as error:
        error.close()


@pytest.fixture(name="issuer")
def _issuer() -> Iterator[FakeIssuer]:
    issuer = FakeIssuer()
    with serving(issuer.route) as origin:
        issuer.origin = origin
        yield issuer


@pytest.fixture(name="browser")
def _browser(issuer: FakeIssuer) -> Iterator[FakeBrowser]:
    browser = FakeBrowser(issuer)
    yield browser
    for thread in browser.threads:
        thread.join()


@pytest.fixture(name="world")
def _world(world: World, browser: FakeBrowser, tmp_path: Path) -> World:
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "TASKRUNNER_STACK": "nowhere.json"}
    return replace(world, environ=environ, browser=browser)


@pytest.fixture(name="token_file")
def _token_file(tmp_path: Path) -> Path:
    return tmp_path / "config/taskrunner/tokens.json"


@pytest.fixture(autouse=True)
def _no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)


class TestLogin:
    def test_signs_in_by_the_browser_and_keeps_the_token_privately(
        self, taskrunner: Command, issuer: FakeIssuer, browser: FakeBrowser, token_file: Path
    ) -> None:
        ended = taskrunner("login", "--profile", "prod", "--api-url", f"{issuer.origin}/live/")

        assert ended.code == 0
        assert "signed in with profile prod until 2025-12-06" in ended.out
        asked = parse_qs(urlsplit(browser.addresses[0]).query)
        assert asked["code_challenge_method"] == ["S256"]
        assert asked["scope"] == ["taskrunner/viewer taskrunner/operator"]
        assert asked["redirect_uri"][0] in {
            f"http://localhost:{port}/callback" for port in LOOPBACK_PORTS
        }
        assert stat.S_IMODE(token_file.stat().st_mode) == 0o600
        assert stat.S_IMODE(token_file.parent.stat().st_mode) == 0o700
        config = tomllib.loads((token_file.parent / "config.toml").read_text())
        assert config["default_profile"] == "prod"
        assert config["profiles"]["prod"]["api_url"] == f"{issuer.origin}/live"
        assert TOKEN not in (token_file.parent / "config.toml").read_text()

    def test_commands_then_call_the_api_with_the_token(
        self, taskrunner: Command, issuer: FakeIssuer, service: FakeService, token_file: Path
    ) -> None:
        service.tokens.add(TOKEN)
        with serving(service.route) as origin:
            taskrunner(
                "login", "--api-url", f"{origin}/live", "--client-id", "console",
                "--authorize-url", f"{issuer.origin}/oauth2/authorize",
                "--token-url", f"{issuer.origin}/oauth2/token", "--tenant", "tenant-prod",
            )  # fmt: skip
            ended = taskrunner("runs")

        assert (ended.code, ended.out) == (0, "no runs yet\n")
        assert service.requests[-1].headers["authorization"] == f"Bearer {TOKEN}"
        assert service.requests[-1].headers["x-stellaops-tenant"] == "tenant-prod"
        assert token_file.exists()

    @pytest.mark.parametrize("option", [(), ("--profile", "default")])
    def test_proposes_commands_that_the_same_person_can_type(
        self,
        taskrunner: Command,
        issuer: FakeIssuer,
        service: FakeService,
        option: tuple[str, ...],
    ) -> None:
        service.tokens.add(TOKEN)
        service.add("r1", "deploy-app", ticks=2)
        with serving(service.route) as origin:
            taskrunner(
                "login", "--api-url", f"{origin}/live", "--client-id", "console",
                "--authorize-url", f"{issuer.origin}/oauth2/authorize",
                "--token-url", f"{issuer.origin}/oauth2/token",
            )  # fmt: skip
            ended = taskrunner("show", "r1", *option)

        assert ended.out.splitlines()[-1] == " ".join(
            ["taskrunner approve r1 security-review", *option]
        )

    def test_a_token_that_the_api_rejects_asks_to_sign_in_again(
        self, taskrunner: Command, issuer: FakeIssuer, service: FakeService
    ) -> None:
        with serving(service.route) as origin:
            taskrunner(
                "login", "--api-url", f"{origin}/live", "--client-id", "console",
                "--authorize-url", f"{issuer.origin}/oauth2/authorize",
                "--token-url", f"{issuer.origin}/oauth2/token",
            )  # fmt: skip
            ended = taskrunner("runs")

        assert ended.code == 1
        assert "sign in again: taskrunner login --profile default" in ended.err

    @pytest.mark.parametrize("options", [("--no-browser",), ()])
    def test_takes_the_address_that_somebody_pastes(
        self,
        terminal: Command,
        world: World,
        browser: FakeBrowser,
        issuer: FakeIssuer,
        options: tuple[str, ...],
    ) -> None:
        """The state and the challenge follow from the fake randomness, as in a real terminal."""
        browser.is_found = False
        digest = hashlib.sha256(b"key-2key-3").digest()
        issuer.challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

        ended = terminal(
            "login", "--api-url", f"{issuer.origin}/live", *options,
            typed=f"http://localhost:8765/callback?code={CODE}&state=key-1\n", columns=400,
        )  # fmt: skip

        assert ended.code == 0
        assert f"{issuer.origin}/oauth2/authorize?" in ended.out
        assert TOKEN not in ended.out + ended.err
        assert saved_tokens(world.environ).load("default") is not None

    @pytest.mark.parametrize(
        "typed", ["http://localhost:8765/callback?code=x&state=other\n", "nonsense\n", "\n"]
    )
    def test_refuses_an_address_of_another_sign_in(
        self, terminal: Command, issuer: FakeIssuer, typed: str, token_file: Path
    ) -> None:
        ended = terminal("login", "--api-url", f"{issuer.origin}/live", "--no-browser", typed=typed)

        assert ended.code == 2
        assert not token_file.exists()

    def test_without_terminal_and_browser_it_names_the_credentials_of_clients(
        self, taskrunner: Command, issuer: FakeIssuer
    ) -> None:
        ended = taskrunner("login", "--api-url", f"{issuer.origin}/live", "--no-browser")

        assert ended.code == 2
        assert "TASKRUNNER_CLIENT_ID" in ended.err

    def test_shows_why_the_issuer_refused(
        self, taskrunner: Command, issuer: FakeIssuer, browser: FakeBrowser, token_file: Path
    ) -> None:
        browser.query = "error=access_denied&error_description=No%1b[2Jway"

        ended = taskrunner("login", "--api-url", f"{issuer.origin}/live")

        assert ended.code == 1
        assert "No\\x1b[2Jway" in ended.err
        assert not token_file.exists()

    @pytest.mark.parametrize(
        "answer",
        [Answer(400, {"error": "invalid_grant"}), Answer(200, {}), Answer(200, b"<html>")],
    )
    def test_keeps_nothing_if_the_code_gives_no_token(
        self, taskrunner: Command, issuer: FakeIssuer, answer: Answer, token_file: Path
    ) -> None:
        issuer.answer = answer

        ended = taskrunner("login", "--api-url", f"{issuer.origin}/live")

        assert ended.code == 1
        assert "the sign-in gave no token" in ended.err
        assert not token_file.exists()

    def test_says_what_to_give_if_the_api_has_no_console(
        self, taskrunner: Command, issuer: FakeIssuer
    ) -> None:
        issuer.has_console = False

        ended = taskrunner("login", "--api-url", f"{issuer.origin}/live")

        assert ended.code == 2
        assert "give the client and both addresses" in ended.err

    def test_opens_no_file_that_a_deployment_names_as_its_sign_in(
        self, taskrunner: Command, issuer: FakeIssuer, browser: FakeBrowser
    ) -> None:
        issuer.authorize_url = "file:///etc/passwd"

        ended = taskrunner("login", "--api-url", f"{issuer.origin}/live")

        assert ended.code == 2
        assert "file:///etc/passwd?" in ended.err
        assert "is not the address of a web page" in ended.err
        assert browser.addresses == []

    @pytest.mark.parametrize(
        ("url", "fault"),
        [
            ("nonsense", "it does not begin with https:// or http://"),
            ("localhost:4566/live", "it does not begin with https:// or http://"),
            ("//host/live", "it does not begin with https:// or http://"),
            ("ftp://host/live", "it does not begin with https:// or http://"),
            ("https://", "it names no host"),
            ("https:///live", "it names no host"),
            ("http://:4566", "it names no host"),
            ("https://host:port", "its port is not a number from 1 to 65535"),
            ("https://host:99999", "its port is not a number from 1 to 65535"),
            ("https://host:0", "its port is not a number from 1 to 65535"),
            ("https://my host/live", "it has a blank or a control character"),
            ("https://host\n/live", "it has a blank or a control character"),
            ("https://[::1", "its host is not a name or an IP address"),
            ("https://xn--/live", "its host is not a name or an IP address"),
            ("https://host/live?stage=1", "it has a query or a fragment"),
            ("https://alice:secret@host/live", "it has a user name or a password"),
        ],
    )
    def test_says_why_an_address_cannot_be_used(
        self, taskrunner: Command, url: str, fault: str
    ) -> None:
        ended = taskrunner("login", "--api-url", url)

        first, cure = " ".join(ended.err.split()).split(" try: ")
        assert ended.code == 2
        assert first.startswith("error: --api-url: ")
        assert first.endswith(f" is not an HTTP address that can be used: {fault}")
        assert "give the whole address, such as https://" in cure
        assert "secret" not in ended.err

    @pytest.mark.parametrize("option", ["--authorize-url", "--token-url"])
    def test_checks_the_addresses_of_the_issuer_too(
        self, taskrunner: Command, issuer: FakeIssuer, option: str
    ) -> None:
        ended = taskrunner("login", "--api-url", f"{issuer.origin}/live", option, "issuer")

        assert ended.code == 2
        assert f"{option}: issuer is not an HTTP address" in ended.err
        assert issuer.requests == []

    def test_a_new_profile_needs_an_address(self, taskrunner: Command) -> None:
        assert "no --api-url to make one" in taskrunner("login").err

    def test_the_name_of_a_profile_is_checked(
        self, taskrunner: Command, issuer: FakeIssuer
    ) -> None:
        ended = taskrunner("login", "--profile", "a.b]", "--api-url", f"{issuer.origin}/live")

        assert ended.code == 2

    def test_a_config_file_that_cannot_be_read_is_a_usage_error(
        self, taskrunner: Command, token_file: Path
    ) -> None:
        token_file.parent.mkdir(parents=True)
        (token_file.parent / "config.toml").write_text("profiles = [")

        assert taskrunner("profiles").code == 2


class TestProfile:
    @pytest.fixture(autouse=True)
    def _signed_in(self, taskrunner: Command, issuer: FakeIssuer) -> None:
        taskrunner("login", "--profile", "prod", "--api-url", f"{issuer.origin}/live")

    def test_an_expired_sign_in_is_not_used(
        self, taskrunner: Command, world: World, issuer: FakeIssuer
    ) -> None:
        world.clock.sleep(3601)
        seen = len(issuer.requests)

        ended = taskrunner("runs", "-o", "json")

        assert ended.code == 1
        assert ended.error["error"]["code"] == "not_signed_in"
        assert "has expired" in ended.error["error"]["message"]
        assert len(issuer.requests) == seen

    def test_logout_deletes_the_token(self, taskrunner: Command, token_file: Path) -> None:
        first, second = taskrunner("logout"), taskrunner("logout", "-o", "json")

        assert "signed out of profile prod" in first.out
        assert second.document == {"profile": "prod", "wasSignedIn": False}
        assert "token" not in token_file.read_text()
        assert "nobody is signed in" in taskrunner("runs").err

    def test_profiles_lists_them(self, taskrunner: Command, issuer: FakeIssuer) -> None:
        taskrunner("login", "--profile", "stage", "--api-url", f"{issuer.origin}/live")
        taskrunner("logout", "--profile", "stage")

        listed = taskrunner("profiles", "-o", "json").document["profiles"]

        assert [(entry["name"], entry["isDefault"]) for entry in listed] == [
            ("prod", True), ("stage", False),
        ]  # fmt: skip
        assert listed[0]["signedInUntil"] == "2025-12-06T13:01:00+00:00"
        assert listed[1]["signedInUntil"] is None
        assert "prod" in taskrunner("profiles").out

    def test_an_unknown_profile_is_a_usage_error(self, taskrunner: Command) -> None:
        ended = taskrunner("runs", "--profile", "other")

        assert ended.code == 2
        assert "the config file has: prod" in ended.err

    def test_a_profile_excludes_the_clients_of_the_stack(self, taskrunner: Command) -> None:
        assert taskrunner("runs", "--profile", "prod", "--as", "viewer").code == 2

    def test_the_default_profile_yields_to_a_stack_file_and_the_environment(
        self, taskrunner: Command, world: World, stack_file: Path
    ) -> None:
        environ = {**world.environ, "TASKRUNNER_STACK": str(stack_file)}

        assert taskrunner("runs", world=replace(world, environ=environ)).code == 0
        named = {**environ, "TASKRUNNER_PROFILE": "other"}
        assert taskrunner("runs", world=replace(world, environ=named)).code == 2

    def test_a_second_login_keeps_the_profile(
        self, taskrunner: Command, issuer: FakeIssuer
    ) -> None:
        issuer.has_console = False

        assert taskrunner("login").code == 0


class TestRenewal:
    """A person who signed in once, an hour ago, with an issuer that renews tokens."""

    @pytest.fixture(name="origin")
    def _origin(self, service: FakeService) -> Iterator[str]:
        with serving(service.route) as origin:
            yield origin

    @pytest.fixture(autouse=True)
    def _signed_in(
        self, taskrunner: Command, issuer: FakeIssuer, service: FakeService, origin: str
    ) -> None:
        issuer.refresh_token = "token-of-renewal"
        service.tokens |= {TOKEN, f"{TOKEN}-1", f"{TOKEN}-2"}
        ended = taskrunner(
            "login", "--api-url", f"{origin}/live", "--client-id", "console",
            "--authorize-url", f"{issuer.origin}/oauth2/authorize",
            "--token-url", f"{issuer.origin}/oauth2/token",
        )  # fmt: skip
        assert ", and then renewed; the token is in" in ended.out

    def test_an_expired_token_is_renewed_quietly_and_kept(
        self, taskrunner: Command, world: World, issuer: FakeIssuer, token_file: Path
    ) -> None:
        world.clock.sleep(3601)

        first, second = taskrunner("runs"), taskrunner("runs")

        assert (first.code, first.err) == (second.code, second.err) == (0, "")
        assert issuer.renewals == [
            {
                "grant_type": "refresh_token",
                "client_id": "console",
                "refresh_token": "token-of-renewal",
            }
        ]
        assert stat.S_IMODE(token_file.stat().st_mode) == 0o600

    def test_a_token_is_not_renewed_while_it_is_valid(
        self, taskrunner: Command, world: World, issuer: FakeIssuer
    ) -> None:
        world.clock.sleep(3500)

        assert (taskrunner("runs").code, issuer.renewals) == (0, [])

    def test_the_refresh_token_that_comes_with_a_token_replaces_the_old_one(
        self, taskrunner: Command, world: World, issuer: FakeIssuer
    ) -> None:
        for name in ("token-of-renewal-2", "token-of-renewal-3"):
            world.clock.sleep(3601)
            rotated = {"access_token": f"{TOKEN}-1", "expires_in": 1, "refresh_token": name}
            issuer.next_renewals = [Answer(200, rotated)]
            assert taskrunner("runs").code == 0

        assert [form["refresh_token"] for form in issuer.renewals[:2]] == [
            "token-of-renewal", "token-of-renewal-2",
        ]  # fmt: skip

    def test_a_refresh_token_that_is_not_replaced_is_kept(
        self, taskrunner: Command, world: World, issuer: FakeIssuer, token_file: Path
    ) -> None:
        world.clock.sleep(3601)
        issuer.next_renewals = [Answer(200, {"access_token": f"{TOKEN}-1", "expires_in": 3600})]

        assert taskrunner("runs").code == 0
        assert "token-of-renewal" in token_file.read_text()

    @pytest.mark.parametrize(
        "answer",
        [Answer(400, {"error": "invalid_grant"}), Answer(200, b"<html>"), Answer(302)],
        ids=["refused", "page", "redirect"],
    )
    def test_a_renewal_that_fails_asks_to_sign_in_again(
        self, taskrunner: Command, world: World, issuer: FakeIssuer, answer: Answer
    ) -> None:
        world.clock.sleep(3601)
        issuer.next_renewals = [answer]

        ended = taskrunner("runs", "-o", "json")

        assert ended.code == 1
        assert ended.error["error"]["code"] == "not_signed_in"
        assert ended.error["error"]["cure"] == "taskrunner login --profile default"
        assert len(issuer.renewals) == 1

    def test_a_busy_issuer_does_not_ask_to_sign_in_again(
        self, taskrunner: Command, world: World, issuer: FakeIssuer
    ) -> None:
        world.clock.sleep(3601)
        issuer.next_renewals = [Answer(503)] * 10

        ended = taskrunner("runs")

        assert ended.code == 3
        assert "taskrunner login" not in ended.err

    def test_a_token_that_the_api_rejects_is_renewed_once(
        self, taskrunner: Command, service: FakeService, issuer: FakeIssuer
    ) -> None:
        service.tokens.remove(TOKEN)

        assert taskrunner("runs").code == 0
        service.tokens.clear()
        ended = taskrunner("runs")

        assert len(issuer.renewals) == 2
        assert "sign in again: taskrunner login --profile default" in ended.err

    def test_a_watch_goes_on_with_the_renewed_token(
        self, taskrunner: Command, world: World, service: FakeService, issuer: FakeIssuer
    ) -> None:
        service.add("r1", "deploy-app").verdict = "approved"
        world.clock.sleep(3569.5)

        ended = taskrunner("watch", "r1")

        assert (ended.code, len(issuer.renewals)) == (0, 1)

    def test_the_token_that_another_command_kept_meanwhile_is_used(
        self, taskrunner: Command, world: World, service: FakeService, issuer: FakeIssuer
    ) -> None:
        service.tokens.remove(TOKEN)
        tokens = saved_tokens(world.environ)
        kept = tokens.load("default")
        assert kept is not None
        newer = replace(kept, value=f"{TOKEN}-1", refresh_value="token-of-renewal-2")
        answers = service.route

        def keep_first(request: Request) -> Answer:
            tokens.save("default", newer)
            return answers(request)

        with serving(keep_first) as origin:
            tokens.save("default", replace(kept, api_url=f"{origin}/live"))
            newer = replace(newer, api_url=f"{origin}/live")
            ended = taskrunner(
                "runs", "--profile", "default",
                world=replace(world, environ=_with_api(world, origin)),
            )  # fmt: skip

        assert (ended.code, issuer.renewals) == (0, [])

    def test_logout_forgets_what_renews(self, taskrunner: Command, token_file: Path) -> None:
        assert taskrunner("profiles").out.splitlines()[1].endswith("renewed when used")
        taskrunner("logout")

        assert "token-of-renewal" not in token_file.read_text()
        assert "nobody is signed in" in taskrunner("runs").err


def _with_api(world: World, origin: str) -> dict[str, str]:
    """Point the config file's profile at another address, and return the environment."""
    path = Path(world.environ["XDG_CONFIG_HOME"]) / "taskrunner/config.toml"
    config = tomllib.loads(path.read_text())["profiles"]["default"]
    path.write_text(path.read_text().replace(config["api_url"], f"{origin}/live"))
    return dict(world.environ)


def test_the_template_lets_the_issuer_come_back_to_every_port() -> None:
    client = template()["Resources"]["ConsoleClient"]["Properties"]
    addresses = [url for url in client["CallbackURLs"] if isinstance(url, str)]

    assert addresses == [f"http://localhost:{port}{CALLBACK_PATH}" for port in LOOPBACK_PORTS]


def test_says_that_there_are_no_profiles(taskrunner: Command) -> None:
    assert "taskrunner login" in taskrunner("profiles").out


class TestLoopback:
    def test_waits_on_after_a_request_that_is_not_of_this_sign_in(self) -> None:
        loopback = Loopback([0])

        def accept(address: str) -> str:
            if address != "/callback?right":
                raise UsageError("another")
            return address

        def visit() -> None:
            for path in ("/favicon.ico", "/callback?right"):
                _visit(f"http://127.0.0.1:{loopback.port}{path}")

        visits = threading.Thread(target=visit)
        visits.start()
        try:
            assert loopback.wait(accept, 10) == "/callback?right"
        finally:
            visits.join()
            loopback.close()

    def test_gives_up_after_a_time(self) -> None:
        loopback = Loopback([0])
        try:
            with pytest.raises(CommandError, match="nobody signed in"):
                loopback.wait(lambda address: address, 0.5)
        finally:
            loopback.close()

    def test_takes_the_first_free_port(self) -> None:
        taken = Loopback([0])
        try:
            other = Loopback([taken.port, 0])
            assert other.port != taken.port
            other.close()
            with pytest.raises(UsageError, match="are taken"):
                Loopback([taken.port])
        finally:
            taken.close()


class FakeKeyring(ModuleType):
    """The library `keyring` over a dictionary; *is_locked* makes every call fail.

    *is_off* makes it keep nothing and complain of nothing, like the library's null backend.
    """

    def __init__(self) -> None:
        super().__init__("keyring")
        self.kept: dict[tuple[str, str], str] = {}
        self.is_locked = False
        self.is_off = False

    def _check(self) -> None:
        if self.is_locked:
            raise RuntimeError("locked")

    def get_password(self, service: str, name: str) -> str | None:
        self._check()
        return self.kept.get((service, name))

    def set_password(self, service: str, name: str, password: str) -> None:
        self._check()
        if not self.is_off:
            self.kept[service, name] = password

    def delete_password(self, service: str, name: str) -> None:
        self._check()
        if not self.is_off:
            del self.kept[service, name]


class TestKeyring:
    TOKEN = SavedToken("https://api", TOKEN, datetime(2030, 1, 1, tzinfo=UTC))

    @pytest.fixture(name="keyring")
    def _keyring(self, monkeypatch: pytest.MonkeyPatch) -> FakeKeyring:
        keyring = FakeKeyring()
        monkeypatch.setitem(sys.modules, "keyring", keyring)
        return keyring

    def test_keeps_the_token_in_the_keyring_and_in_no_file(
        self, keyring: FakeKeyring, world: World, token_file: Path
    ) -> None:
        tokens = saved_tokens(world.environ)

        assert tokens.save("prod", self.TOKEN) == "the keyring"
        assert tokens.load("prod") == self.TOKEN
        assert not token_file.exists()
        assert (tokens.forget("prod"), tokens.forget("prod")) == (True, False)
        assert keyring.kept == {}

    def test_a_locked_keyring_leaves_the_file(
        self, keyring: FakeKeyring, world: World, token_file: Path
    ) -> None:
        keyring.is_locked = True
        tokens = saved_tokens(world.environ)

        assert tokens.save("prod", self.TOKEN) == str(token_file)
        assert tokens.load("prod") == self.TOKEN
        assert tokens.forget("prod")

    def test_a_keyring_that_is_switched_off_leaves_the_file(
        self, keyring: FakeKeyring, world: World, token_file: Path
    ) -> None:
        keyring.is_off = True
        tokens = saved_tokens(world.environ)

        assert tokens.save("prod", self.TOKEN) == str(token_file)
        assert tokens.load("prod") == self.TOKEN
        assert (tokens.forget("prod"), tokens.forget("prod")) == (True, False)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"prod": 1}',
        b'{"prod": {"apiUrl": "a", "accessToken": "t", "expiresAt": "x"}}',
    ],
)
def test_a_token_file_that_cannot_be_read_has_no_tokens(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.json").write_bytes(content)
    tokens = TokenFile(tmp_path / "t.json")

    assert tokens.load("prod") is None
    tokens.save("prod", TestKeyring.TOKEN)
    assert tokens.load("prod") == TestKeyring.TOKEN


def test_no_representation_shows_a_token() -> None:
    token: Any = SavedToken("https://api", TOKEN, datetime(2030, 1, 1, tzinfo=UTC))

    assert TOKEN not in repr(token)
    assert not token.is_usable("https://api", token.expires_at)
    assert token.is_usable("https://api", token.expires_at - timedelta(seconds=1))
    assert not token.is_usable("https://other", token.expires_at - timedelta(seconds=1))
