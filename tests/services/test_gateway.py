"""A real Caddy in front of the running stack: no request passes without a login, and each caller has its own reach."""

import asyncio
import json
import shutil
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from stack.access import actions, passwords, tokens
from stack.access.verifier import UNKNOWN_SECONDS
from stack.core.settings import Settings
from stack.ops import compose_file, lan, probe
from stack.specification import example, specs
from tests.polling import PATIENCE_SECONDS, eventually
from tests.stacks import Service

pytestmark = pytest.mark.services
PASSWORD = "of-the-gateway"
PEOPLE = (lan.USER, PASSWORD)
SITES = {
    "portal": ("/", "/catalog/flights", "/reports/", "/prefect/api/flows/filter", "/mlflow/", "/prefect", "/ca.crt/x"),
    "prediction": ("/", "/readyz", "/metrics", "/docs.json", "/flights/predict", "/flights/feedback", "/flights/rows"),
    "prefect": ("/", "/api/health", "/api/admin/version", "/sign-in", "/api/ui-settings"),
    "mlflow": ("/", "/health", "/api/2.0/mlflow/experiments/search", "/ajax-api/2.0/mlflow/experiments/search"),
    "features": ("/", "/health", "/docs", "/get-online-features", "/push"),
    "monitoring": ("/", "/api/projects"),
    "feast_ui": ("/", "/projects-list.json"),
}


@pytest.fixture(scope="module")
def gateway(running: Settings) -> Iterator[Settings]:
    """The running stack's settings with the profile lan, whose two services run."""
    if not shutil.which("caddy"):
        pytest.skip("caddy is not installed")
    lan_settings = {"profiles": "lan", "lan_host": "127.0.0.1", "lan_address": "localhost"}
    with_lan = running.model_copy(update=lan_settings | {"lan_password_hash": passwords.hashed(PASSWORD)})
    with ExitStack() as stack:
        for name in ("access", "gateway"):
            (definition,) = [one for one in compose_file.services(with_lan) if one.name == name]
            assert definition.health
            service = Service(with_lan, name, lambda url=definition.health.probe[0]: probe.ask(url) is None)
            stack.callback(service.stop)
            service.start()
        yield with_lan


@pytest.fixture(scope="module")
def ask(gateway: Settings) -> Iterator[Callable[..., httpx.Response]]:
    """Send a request to a site of the gateway, whose authority is trusted."""
    trusting = ssl.create_default_context(cadata=lan.authority(gateway.through_gateway("portal", "127.0.0.1")))
    with httpx.Client(verify=trusting, trust_env=False, timeout=PATIENCE_SECONDS) as client:

        def send(site: str, path: str, method: str = "GET", **more: Any) -> httpx.Response:
            return client.request(method, gateway.through_gateway(site, "localhost") + path, **more)

        yield send


def token(gateway: Settings, project: str, *purposes: str) -> str:
    """A new token, after the time in which services may not know it."""
    text = tokens.create(gateway.state_database, project, purposes, datetime.now(UTC))
    time.sleep(UNKNOWN_SECONDS)
    return text


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def test_every_site_of_the_gateway_is_in_the_table(gateway: Settings) -> None:
    ports = {getattr(gateway, f"lan_{site}_port") for site in SITES}
    (published,) = [set(service.ports) for service in compose_file.services(gateway) if service.name == "gateway"]
    assert published == ports


@pytest.mark.parametrize("site", SITES)
def test_nothing_is_answered_without_a_login(ask: Callable[..., httpx.Response], site: str) -> None:
    forged = {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Uri": "/ca.crt", "X-Forwarded-Method": "OPTIONS"}
    for path in SITES[site]:
        for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"):
            for headers in ({}, forged, {"Authorization": "Bearer"}, {"Authorization": "Basic"}):
                answer = ask(site, path, method, headers=headers)
                assert answer.status_code == 401, (method, path, headers)
    assert ask(site, "/", auth=(lan.USER, "another")).status_code == 401
    assert ask(site, "/", headers=bearer("another")).status_code == 401
    assert ask(site, "/", auth=PEOPLE).status_code != 401  # and ends the delay of wrong ones


def test_the_certificate_alone_is_public(ask: Callable[..., httpx.Response]) -> None:
    assert ask("portal", "/ca.crt").text.startswith("-----BEGIN CERTIFICATE-----")
    for path in ("/ca.crt/..%2froot.key", "/ca.crt/../root.key", "/ca.crt%2f..%2froot.key", "/root.key"):
        answer = ask("portal", path)
        assert answer.status_code == 401 and "PRIVATE KEY" not in answer.text, path


def test_people_reach_everything_that_runs(ask: Callable[..., httpx.Response]) -> None:
    statuses = {site: ask(site, "/", auth=PEOPLE).status_code for site in SITES}
    assert statuses == dict.fromkeys(SITES, 200) | {"features": 404, "feast_ui": 502}
    for site in ("prefect", "portal"):
        path = "/api/flows/filter" if site == "prefect" else "/prefect/api/flows/filter"
        assert ask(site, path, "POST", auth=PEOPLE, json={}).status_code == 200


def test_prefect_s_pages_ask_people_for_no_second_login(ask: Callable[..., httpx.Response], running: Settings) -> None:
    asks = httpx.get(f"{running.prefect_url}/ui-settings", timeout=PATIENCE_SECONDS, trust_env=False).json()
    assert asks["auth"] == "BASIC"
    assert ask("prefect", "/ui-settings", auth=PEOPLE).json() == asks | {"auth": None}


@pytest.mark.parametrize("site", SITES)
def test_a_foreign_page_is_refused_with_the_login_that_the_browser_knows(
    ask: Callable[..., httpx.Response], gateway: Settings, site: str
) -> None:
    for origin in ("https://evil.example", "null", gateway.through_gateway("mlflow", "localhost") + ".evil.example"):
        for method in ("GET", "POST", "PUT", "DELETE"):
            answer = ask(site, SITES[site][-1], method, auth=PEOPLE, headers={"Origin": origin})
            assert answer.status_code == 403, (method, origin)
    foreign = {"Origin": "https://evil.example"} | bearer(token(gateway, "all", "admin"))
    assert ask(site, "/", "POST", headers=foreign).status_code == 403


def test_a_machine_that_trains_reaches_prefect_and_mlflow_alone(
    ask: Callable[..., httpx.Response], gateway: Settings
) -> None:
    text = token(gateway, "all", "train")
    for given in ({"auth": (lan.TRAINER, text)}, {"headers": bearer(text)}):
        assert ask("portal", "/prefect/api/work_pools/filter", "POST", json={}, **given).status_code == 200
        search = "/mlflow/api/2.0/mlflow/experiments/search"
        assert ask("portal", search, "POST", json={"max_results": 1}, **given).status_code == 200
        for site, paths in SITES.items():
            for path in paths:
                if not path.startswith(("/prefect/", "/mlflow/")):
                    for method in ("GET", "POST"):
                        assert ask(site, path, method, **given).status_code == 403, (site, method, path)


def test_websockets_of_prefect_need_the_login_and_not_its_key(gateway: Settings) -> None:
    context = ssl.create_default_context(cadata=lan.authority(gateway.through_gateway("portal", "127.0.0.1")))

    async def opened(site: str, path: str, user: str, secret: str, origin: str | None = None) -> Any:
        url = gateway.through_gateway(site, "localhost").replace("https", "wss") + path
        login = {"Authorization": f"Basic {b64encode(f'{user}:{secret}'.encode()).decode()}"} if user else {}
        options: dict[str, Any] = {"additional_headers": login, "subprotocols": ["prefect"], "origin": origin}
        try:
            async with connect(url, ssl=context, proxy=None, **options) as socket:
                await socket.send(json.dumps({"type": "auth", "token": None}))
                return json.loads(await socket.recv())["type"]
        except InvalidStatus as refused:
            return refused.response.status_code

    trainer, events = token(gateway, "all", "train"), "/api/events/in"
    attempts = {
        ("prefect", events, *PEOPLE): "auth_success",
        ("portal", f"/prefect{events}", lan.TRAINER, trainer): "auth_success",
        ("prefect", events, lan.TRAINER, trainer): 403,
        ("prefect", events, "", ""): 401,
        ("prefect", events, *PEOPLE, "https://evil.example"): 403,
    }
    assert {attempt: asyncio.run(opened(*attempt)) for attempt in attempts} == attempts


def test_a_program_predicts_by_its_token_until_it_is_revoked(
    ask: Callable[..., httpx.Response], gateway: Settings
) -> None:
    text = token(gateway, "flights", "predict")
    body = example.body(specs.load("flights"))

    def predicted(headers: dict[str, str], verb: str = "flights/predict") -> int:
        return ask("prediction", f"/{verb}", "POST", content=body, headers=headers).status_code

    assert predicted(bearer(text)) == 200
    assert predicted(bearer(text) | {"X-Forwarded-For": "127.0.0.1"}, "flights/feedback") == 403
    assert predicted(bearer(text), "titanic/predict") == 403
    assert ask("prediction", "/readyz", headers=bearer(text)).status_code == 200
    assert predicted(bearer("wrong")) == predicted({}) == predicted({"X-Forwarded-For": "127.0.0.1"}) == 401
    for hidden in ("X-Forwarded-For", "x-forwarded-for, Authorization", "Authorization"):
        assert predicted({"Connection": hidden}) == predicted(bearer("wrong") | {"Connection": hidden}) == 401
    for site in set(SITES) - {"prediction"}:
        assert ask(site, "/", headers=bearer(text)).status_code == 403
    assert ask("prediction", "/flights/predict", "POST", content=body, auth=PEOPLE).status_code == 200

    def stored() -> tokens.Token:
        return next(one for one in tokens.by_hash(gateway.state_database).values() if text.startswith(one.id))

    eventually(lambda: stored().used_at)
    tokens.revoke(gateway.state_database, stored().id)
    eventually(lambda: predicted(bearer(text)) == 401)


def test_an_admin_token_of_all_projects_is_a_login(ask: Callable[..., httpx.Response], gateway: Settings) -> None:
    admin = bearer(token(gateway, "all", "admin"))
    experiments = "/api/2.0/mlflow/experiments/search"
    assert ask("portal", "/", headers=admin).status_code == 200
    assert ask("mlflow", experiments, "POST", json={"max_results": 1}, headers=admin).status_code == 200
    assert ask("portal", "/", headers=bearer(token(gateway, "flights", "admin"))).status_code == 403


def test_nobody_acts_under_another_name(ask: Callable[..., httpx.Response], gateway: Settings) -> None:
    forged = {"X-Stack-User": "somebody", "X-Forwarded-For": "192.0.2.1"}
    answer = ask("portal", "/projects/flights/answer", "POST", auth=PEOPLE, headers=forged, data={"answer": "maybe"})
    assert answer.status_code == 409
    assert actions.entries(gateway.state_database, "flights")[-1].caller == f"{lan.USER} at 127.0.0.1"


def test_good_callers_get_their_answers_while_others_guess(gateway: Settings, running: Settings) -> None:
    url, body = f"{running.prediction_url}/flights/predict", example.body(specs.load("flights"))
    site = gateway.through_gateway("portal", "localhost")
    context = ssl.create_default_context(cadata=lan.authority(site))

    def guess(number: int) -> int:
        with httpx.Client(verify=context, trust_env=False, timeout=PATIENCE_SECONDS) as client:
            return client.get(site, auth=(lan.USER, f"guess {number}")).status_code

    with httpx.Client(trust_env=False, timeout=PATIENCE_SECONDS) as client, ThreadPoolExecutor(50) as guessers:
        guesses = [guessers.submit(guess, number) for number in range(50)]
        for _ in range(300):
            client.post(url, content=body, headers={"Content-Type": "application/json"}).raise_for_status()
        assert {guessed.result() for guessed in guesses} == {401}


def test_the_gateway_s_keys_are_the_owner_s_alone(gateway: Settings) -> None:
    keys = list((gateway.home / "gateway").rglob("*.key"))
    assert keys and gateway.home.stat().st_mode & 0o077 == 0
    assert all(key.stat().st_mode & 0o077 == 0 for key in keys)
