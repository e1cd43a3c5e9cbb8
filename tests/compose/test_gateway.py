"""The gateway asks everybody for the login, and its certificate is signed by its own authority."""

import re
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest

from stack.core import settings
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.ops import lan
from tests.compose.conftest import PASSWORD, Containers
from tests.polling import PATIENCE_SECONDS

pytestmark = pytest.mark.services
QUESTIONS: dict[str, tuple[str, Any]] = {
    "portal": ("/", None),
    "prediction": ("/readyz", None),
    "prefect": ("/api/work_pools/filter", {"limit": 1}),
    "mlflow": ("/api/2.0/mlflow/experiments/search", {"max_results": 1}),
    "features": ("/health", None),
    "monitoring": ("/api/projects", None),
}


@pytest.fixture(scope="module")
def trusting(containers: Containers) -> ssl.SSLContext:
    """Trusts the authority whose certificate the gateway hands out, and no other."""
    url = containers.settings.through_gateway("portal", "127.0.0.1")
    return ssl.create_default_context(cadata=lan.authority(url))


def ask(of: Settings, name: str, trusting: ssl.SSLContext, host: str = "localhost", **more: Any) -> httpx.Response:
    path, body = QUESTIONS[name]
    url = of.through_gateway(name, host) + path
    method = "GET" if body is None else "POST"
    return httpx.request(method, url, json=body, verify=trusting, trust_env=False, timeout=PATIENCE_SECONDS, **more)


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_interface_asks_for_the_login(containers: Containers, trusting: ssl.SSLContext, name: str) -> None:
    def status(**more: Any) -> int:
        return ask(containers.settings, name, trusting, **more).status_code

    login = (lan.USER, PASSWORD)
    assert status() == 401
    assert status(auth=(lan.USER, "another")) == 401
    assert status(auth=login) == 200
    own = containers.settings.through_gateway(name, "localhost")
    assert status(auth=login, headers={"Origin": own}) == 200
    assert status(auth=login, headers={"Origin": "https://elsewhere.example"}) == 403


def test_a_browser_that_names_no_host_gets_the_certificate_of_the_address(
    containers: Containers, trusting: ssl.SSLContext
) -> None:
    address = lan.address(containers.settings)

    assert ask(containers.settings, "portal", trusting, address, auth=(lan.USER, PASSWORD)).status_code == 200


def test_another_authority_is_not_trusted(containers: Containers) -> None:
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        ask(containers.settings, "portal", ssl.create_default_context())
    with pytest.raises(StackError, match="as the key says"):
        lan.authority(containers.settings.through_gateway("portal", "127.0.0.1"), trusted="0" * 64)


def test_links_stay_behind_the_gateway(containers: Containers, trusting: ssl.SSLContext) -> None:
    page = ask(containers.settings, "portal", trusting, auth=(lan.USER, PASSWORD)).text
    links = {url for url in re.findall(r'href="(https?://[^/"]+)', page)}

    assert links == {containers.settings.through_gateway(name, "localhost") for name in QUESTIONS} - {
        containers.settings.through_gateway(name, "localhost") for name in ("portal", "features")
    }


def test_a_password_is_made_once_and_kept_as_a_hash(containers: Containers, tmp_path: Path) -> None:
    messages: list[str] = []
    without = containers.settings.model_copy(update={"lan_password_hash": ""})

    configured = lan.with_login(without, messages.append, tmp_path / ".env")
    again = lan.with_login(
        settings.load({"STACK_PROFILES": "lan"}, tmp_path / ".env"), messages.append, tmp_path / ".env"
    )

    password = messages[-1].rpartition(" ")[2]
    assert len(password) == 23 and password not in (tmp_path / ".env").read_text()
    assert again.lan_password_hash == configured.lan_password_hash and len(messages) == 2
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
