"""Requests that a foreign web page causes, sent to every service of a running stack."""

from collections.abc import Mapping

import httpx

from stack.core.settings import Settings
from stack.ops import compose_file
from tests.polling import PATIENCE_SECONDS

FOREIGN = "evil.example"
CHANGING = ("POST", "PUT", "PATCH", "DELETE")
CONTENT_TYPES = (None, "application/json", "text/plain", "application/x-www-form-urlencoded")


def urls(settings: Settings) -> dict[str, str]:
    """The address of each running service that publishes a port."""
    ports = {service.name: service.ports for service in compose_file.services(settings) if service.ports}
    ports.pop("gateway", None)  # it speaks HTTPS, and asks for a login
    return {name: f"http://127.0.0.1:{port}" for name, (port, *_) in ports.items()}


def assert_refused(urls: Mapping[str, str]) -> None:
    """Every service refuses a foreign host, a foreign origin and a cross-site change, whatever its content type."""
    for name, url in urls.items():
        rebound = {"Host": f"{FOREIGN}:{httpx.URL(url).port}"}
        with httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE_SECONDS) as client:
            assert client.get("/", headers=rebound).status_code == 403, name
            for headers in ({"Origin": f"http://{FOREIGN}"}, {"Sec-Fetch-Site": "cross-site"}, rebound):
                for method in CHANGING:
                    for content_type in CONTENT_TYPES:
                        sent = headers | ({"Content-Type": content_type} if content_type else {})
                        answer = client.request(method, "/", headers=sent, content=b"{}")
                        assert answer.status_code == 403, (name, method, sent)
            preflight = {"Origin": f"http://{FOREIGN}", "Access-Control-Request-Method": "POST"}
            assert "access-control-allow-origin" not in client.options("/", headers=preflight).headers, name
