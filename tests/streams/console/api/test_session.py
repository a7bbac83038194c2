"""Who can look, who can respond, and what a page of another site cannot do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from argon2 import PasswordHasher

from streams.configuration.console import ConsoleSettings
from streams.configuration.reader import ConfigurationError
from streams.console import users
from streams.console.data.responder import NotAccepted
from streams.console.guards import MAX_BODY_BYTES
from streams.console.users import password_line, read_users
from streams.messages.response import ResponseMessage
from tests.streams.console.site import Client, Feed, alert, configured, new_area, serving

PASSWORDS = {"ann": "correct horse", "bob": "battery staple"}
READS = ["alerts", f"alerts/{1:032x}", f"alerts/{1:032x}/revisions", "health", "usual", "layers/x", "stream"]
ACTIONS = ["acknowledge", "take", "outcome"]


class Sent:
    """Takes responses instead of Kafka."""

    def __init__(self) -> None:
        self.records: list[tuple[str, ResponseMessage]] = []
        self.is_away = False

    async def send(self, area: str, response: ResponseMessage) -> None:
        if self.is_away:
            raise NotAccepted
        self.records.append((area, response))

    def close(self) -> None:
        pass


@pytest.fixture
def sent(client: Client, monkeypatch: pytest.MonkeyPatch) -> Sent:
    made = Sent()
    monkeypatch.setattr(client.app.state.console, "responder", made)
    return made


@pytest.fixture(scope="module")
def password_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("users") / "users"
    lines = [password_line(user, "operator" if user == "ann" else "viewer", PASSWORDS[user]) for user in PASSWORDS]
    path.write_text("# users\n\n" + "\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def area() -> str:
    return new_area()


@pytest.fixture(scope="module")
def _guarded(valkey: Any, area: str, password_file: Path) -> Iterator[Client]:
    with serving(configured(valkey.url, area, password_file=str(password_file))) as made:
        yield made


@pytest.fixture
def guarded(_guarded: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Of a console with a password file."""
    _guarded.cookies.clear()
    monkeypatch.setattr(users, "FAILED_S", 0.1)
    return _guarded


def test_on_loopback_everyone_is_an_operator(client: Client, areas: tuple[str, str]) -> None:
    session = client.get("/api/session").json()
    assert (session["user"], session["role"], session["login"], session["signed_in"]) == (
        "local",
        "operator",
        "none",
        True,
    )
    assert session["areas"] == list(areas)
    assert session["time_zones"] == dict.fromkeys(areas, "Europe/London")
    assert session["clocks"] == dict.fromkeys(areas, "wall")


@pytest.mark.parametrize("path", READS)
def test_nothing_is_shown_without_a_sign_in(guarded: Client, path: str) -> None:
    assert guarded.get(f"/api/{path}").status_code == 401


def test_public_pages_reveal_nothing(guarded: Client, area: str) -> None:
    for path in ("/", "/healthz", "/metrics", "/openapi.json", "/api/session", "/static/leaflet/leaflet.js"):
        response = guarded.get(path)
        assert response.status_code == 200
        assert area not in response.text
    assert guarded.get("/api/session").json()["signed_in"] is False


def test_signing_in_and_out(guarded: Client, area: str) -> None:
    before = guarded.get("/api/session").json()["csrf"]
    response = guarded.sign_in("ann", PASSWORDS["ann"])
    assert response.status_code == 204
    cookie = response.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie
    session = guarded.get("/api/session").json()
    assert (session["user"], session["role"], session["signed_in"]) == ("ann", "operator", True)
    assert session["areas"] == [area] and session["csrf"] != before
    assert guarded.get("/api/alerts").status_code == 200
    assert guarded.act("/api/logout").status_code == 204
    assert guarded.get("/api/alerts").status_code == 401


@pytest.mark.parametrize("credentials", [("ann", "battery staple"), ("carl", "correct horse"), ("", "x"), ("ann", "")])
def test_a_wrong_password(guarded: Client, credentials: tuple[str, str]) -> None:
    response = guarded.sign_in(*credentials)
    assert response.status_code == (401 if all(credentials) else 422)
    assert guarded.get("/api/session").json()["signed_in"] is False
    assert credentials[1] == "" or credentials[1] not in response.text


def test_guessing_is_slow(guarded: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "FAILED_S", 0.4)
    began = time.monotonic()
    for _ in range(2):
        guarded.sign_in("ann", "guess")
    assert time.monotonic() - began >= 0.8


def test_too_many_guesses_are_refused(guarded: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "MAX_WAITING", 0)
    response = guarded.sign_in("ann", PASSWORDS["ann"])
    assert response.status_code == 429
    assert response.headers["retry-after"]


@pytest.mark.parametrize("name", ["ann", "nobody"])
def test_guesses_lock_nobody_else_out(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(users, "FAILED_S", 0.5)
    ann = users.User("ann", "viewer", PasswordHasher().hash("right"))

    async def run() -> None:
        passwords = users.Passwords({"ann": ann})
        guesses = [asyncio.create_task(passwords.check(name, "guess", "192.0.2.1")) for _ in range(users.MAX_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(users.Busy):
            await passwords.check(name, "guess", "192.0.2.1")
        assert await passwords.check("ann", "right", "192.0.2.2") == ann
        for guess in guesses:
            guess.cancel()
        await asyncio.gather(*guesses, return_exceptions=True)
        assert await passwords.check("ann", "right", "192.0.2.1") == ann

    asyncio.run(run())


@pytest.mark.parametrize(
    ("limit", "addresses", "asks"),
    [
        ("MAX_ALL_WAITING", ("192.0.2.0", "192.0.2.1", "192.0.2.2"), "192.0.2.9"),
        ("MAX_ADDRESS_WAITING", ("192.0.2.0",) * 3, "192.0.2.0"),
    ],
)
def test_sign_ins_of_many_users_at_once_are_refused(
    limit: str, addresses: tuple[str, ...], asks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users, limit, 3)

    async def run() -> None:
        passwords = users.Passwords({})
        guesses = [asyncio.create_task(passwords.check(f"user {n}", "guess", each)) for n, each in enumerate(addresses)]
        await asyncio.sleep(0)
        with pytest.raises(users.Busy):
            await passwords.check("ann", "right", asks)
        for guess in guesses:
            guess.cancel()
        await asyncio.gather(*guesses, return_exceptions=True)
        assert not passwords._waiting and not passwords._turns

    asyncio.run(run())


def test_a_forged_cookie_is_worth_nothing(guarded: Client) -> None:
    guarded.sign_in("bob", PASSWORDS["bob"])
    (cookie,) = guarded.cookies.jar
    value = str(cookie.value)
    guarded.cookies.clear()
    guarded.cookies.set(cookie.name, ("x" if value[0] != "x" else "y") + value[1:], domain="127.0.0.1")
    assert guarded.get("/api/alerts").status_code == 401


def test_a_new_password_ends_sessions(valkey: Any, area: str, tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text(password_line("ann", "operator", PASSWORDS["ann"]))
    secret = SimpleNamespace(reveal=lambda: "the same in both")
    with serving(configured(valkey.url, area, password_file=str(path), session_secret=secret)) as client:
        client.sign_in("ann", PASSWORDS["ann"])
        cookies = dict(client.cookies)
    for is_changed in (False, True):
        if is_changed:
            path.write_text(password_line("ann", "operator", PASSWORDS["ann"]))
        with serving(configured(valkey.url, area, password_file=str(path), session_secret=secret)) as client:
            client.cookies.update(cookies)
            assert client.get("/api/alerts").status_code == (401 if is_changed else 200)


def test_a_viewer_cannot_respond(guarded: Client, feed: Feed, area: str) -> None:
    feed.put(alert(1, area))

    def codes() -> list[int]:
        body = {"outcome": "venue"}
        paths = [(f"/api/alerts/{1:032x}/{action}", body if action == "outcome" else None) for action in ACTIONS]
        return [guarded.act(path, json=body).status_code for path, body in paths]

    assert codes() == [401] * 3
    guarded.sign_in("bob", PASSWORDS["bob"])
    assert guarded.get(f"/api/alerts/{1:032x}").status_code == 200
    assert codes() == [403] * 3


@pytest.mark.parametrize("action", ACTIONS)
def test_a_response_is_sent(client: Client, sent: Sent, feed: Feed, areas: tuple[str, str], action: str) -> None:
    feed.put(alert(1, areas[1]))
    accepted = client.act(f"/api/alerts/{1:032x}/{action}", json={"outcome": "venue"} if action == "outcome" else None)
    assert accepted.status_code == 202
    ((area, response),) = sent.records
    assert area == areas[1]
    assert accepted.json() == {"id": response.id}
    assert (response.alert, response.action, response.user) == (f"{1:032x}", action, "local")
    assert response.outcome == "venue" if action == "outcome" else not response.outcome


def test_only_open_alerts_take_responses(client: Client, sent: Sent, feed: Feed, areas: tuple[str, str]) -> None:
    for number, state in enumerate(("ended", "withdrawn", "easing")):
        feed.put(alert(number, areas[0], state=state))
    codes = [client.act(f"/api/alerts/{number:032x}/take").status_code for number in range(4)]
    assert codes == [409, 409, 202, 404]
    assert len(sent.records) == 1


def test_kafka_is_unavailable(client: Client, sent: Sent, feed: Feed, areas: tuple[str, str]) -> None:
    feed.put(alert(1, areas[0]))
    sent.is_away = True
    assert client.act(f"/api/alerts/{1:032x}/take").status_code == 503


@pytest.mark.parametrize("body", [None, {}, {"outcome": "other"}, {"outcome": "venue", "text": "secret"}, [], "venue"])
def test_an_outcome_is_one_of_a_few_values(
    client: Client, sent: Sent, feed: Feed, areas: tuple[str, str], body: Any
) -> None:
    feed.put(alert(1, areas[0]))
    response = client.act(f"/api/alerts/{1:032x}/outcome", json=body)
    assert response.status_code == 422
    assert "secret" not in response.text
    assert not sent.records


def test_other_sites_cannot_respond(client: Client, sent: Sent, feed: Feed, areas: tuple[str, str]) -> None:
    feed.put(alert(1, areas[0]))
    token = client.get("/api/session").json()["csrf"]
    own = f"http://127.0.0.1:{client.base_url.port}"
    path = f"/api/alerts/{1:032x}/take"
    refused = [
        {},
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": "x" * len(token)},
        {"X-CSRF-Token": token, "Origin": "https://evil.example"},
        {"X-CSRF-Token": token, "Origin": "null"},
        {"X-CSRF-Token": token, "Origin": "http://["},
        {"X-CSRF-Token": token, "Origin": own + "1"},
    ]
    assert [client.post(path, headers=headers).status_code for headers in refused] == [403] * len(refused)
    assert client.post(path, headers={"X-CSRF-Token": token, "Origin": own}).status_code == 202
    client.cookies.clear()
    assert client.post(path, headers={"X-CSRF-Token": token}).status_code == 403
    assert len(sent.records) == 1


@pytest.mark.parametrize("name", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", ""])
def test_another_name_for_loopback_is_refused(client: Client, name: str) -> None:
    assert client.get("/api/session", headers={"Host": name}).status_code == 400


@pytest.mark.parametrize("name", ["localhost", "localhost:8080", "[::1]:8080", "127.0.0.1"])
def test_names_of_this_machine(client: Client, name: str) -> None:
    assert client.get("/api/session", headers={"Host": name}).status_code == 200


def test_a_body_is_bounded(client: Client) -> None:
    long = b"x" * (MAX_BODY_BYTES + 1)
    assert client.post("/api/login", content=long).status_code == 413
    assert client.post("/api/login", content=iter([long[:20_000], long[20_000:]])).status_code == 413
    assert client.post("/api/login", content=long[1:]).status_code != 413


def test_every_http_response_has_the_security_headers(client: Client) -> None:
    for path in ("/", "/api/session", "/api/alerts?x=1", "/nowhere", "/static/leaflet/leaflet.css"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "http" not in policy


def test_only_tiles_come_from_elsewhere(valkey: Any, area: str) -> None:
    settings: dict[str, Any] = {"tiles_url": "https://{s}.tiles.example.org:444/{z}/{x}/{y}.png"}
    with serving(configured(valkey.url, area, **settings)) as client:
        policy = client.get("/").headers["content-security-policy"]
        assert "img-src 'self' data: https://*.tiles.example.org:444;" in policy
        assert client.get("/api/session").json()["tiles"] == settings["tiles_url"]


def test_a_proxy_names_the_user(valkey: Any, area: str) -> None:
    settings: dict[str, Any] = {"proxy_user_header": "X-User", "proxy_role_header": "X-Role"}
    with serving(configured(valkey.url, area, **settings)) as client:
        assert client.get("/api/alerts").status_code == 401
        assert client.act("/api/login", json={"user": "ann", "password": "x"}).status_code == 404
        for headers, role in [
            ({}, "viewer"),
            ({"X-Role": "operator"}, "operator"),
            ({"X-Role": "god"}, "viewer"),
        ]:
            session = client.get("/api/session", headers={"X-User": "ann", **headers}).json()
            assert (session["user"], session["role"], session["signed_in"]) == ("ann", role, True)
    with serving(configured(valkey.url, area, **settings, proxies=("192.0.2.1",))) as client:
        assert client.get("/api/alerts", headers={"X-User": "ann"}).status_code == 401


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "console.example.org"])
def test_without_a_login_the_console_needs_loopback(host: str) -> None:
    with pytest.raises(ValueError, match="login"):
        ConsoleSettings(host=host)
    assert not ConsoleSettings(host=host, proxy_user_header="X-User").is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost"])
def test_loopback_has_several_names(host: str) -> None:
    assert ConsoleSettings(host=host).login == "none"


@pytest.mark.parametrize(
    "line", ["ann", "ann:operator", "ann:god:{hash}", ":viewer:{hash}", "ann:viewer:secret", "a\tb:viewer:{hash}"]
)
def test_an_invalid_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "users"
    hashed = password_line("x", "viewer", "long enough").split(":")[2]
    path.write_text("\n" + line.format(hash=hashed))
    with pytest.raises(ConfigurationError, match="line 2") as error:
        read_users(path)
    assert "secret" not in str(error.value)


def test_a_file_without_users_is_refused(tmp_path: Path) -> None:
    (tmp_path / "users").write_text("# nobody\n")
    with pytest.raises(ConfigurationError, match="must hold a user"):
        read_users(tmp_path / "users")


@pytest.mark.parametrize(("user", "password"), [("a:b", "long enough"), ("", "long enough"), ("ann", "short")])
def test_an_invalid_user_gets_no_line(user: str, password: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        password_line(user, "viewer", password)
