"""Home Assistant itself, of an environment of its own: ``HASS`` names its program. See .ci/run."""

import json
import os
import shutil
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from websockets.sync.client import connect

from tests.polling import eventually
from tests.stack.sources.processes import Server
from tests.stacks import free_ports

CONFIGURATION = """
homeassistant: {{name: test, time_zone: Europe/Berlin, unit_system: metric}}
http: {{server_host: 127.0.0.1, server_port: {port}}}
frontend:
api:
websocket_api:
recorder: {{commit_interval: 0}}
history:
"""
USER, LOGIN, KEY = "a" * 32, "b" * 32, "c" * 128
AT = "2024-01-01T00:00:00+00:00"
GROUPS = [{"id": f"system-{name}", "name": name} for name in ("admin", "users", "read-only")]
WHO = {"id": USER, "group_ids": ["system-admin"], "is_owner": True, "is_active": True, "name": "me"}
ACCESS = {
    "id": LOGIN, "user_id": USER, "client_id": None, "client_name": "stack", "client_icon": None, "token": KEY,
    "token_type": "long_lived_access_token", "created_at": AT, "access_token_expiration": 3e8, "jwt_key": KEY,
    "last_used_at": None, "last_used_ip": None, "expire_at": None, "credential_id": None, "version": "1",
}  # fmt: skip


class HomeAssistant(Server):
    """A Home Assistant with a user whose token is known; it is kept without the first steps of a person."""

    def __init__(self, folder: Path) -> None:
        program = os.environ.get("HASS") or shutil.which("hass")
        if not program:
            pytest.skip("Home Assistant is not installed: HASS names its program")
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self.token = jwt.encode({"iss": LOGIN, "iat": 1.7e9, "exp": 4e9}, KEY, algorithm="HS256")
        (folder / ".storage").mkdir()
        (folder / "configuration.yaml").write_text(CONFIGURATION.format(port=port))
        who = WHO | {"system_generated": False, "local_only": False}
        auth = {"users": [who], "groups": GROUPS, "credentials": [], "refresh_tokens": [ACCESS]}
        stored = {
            "auth": {"version": 1, "minor_version": 1, "key": "auth", "data": auth},
            "onboarding": {"version": 4, "key": "onboarding", "data": {"done": ["user", "core_config", "analytics"]}},
        }
        for name, content in stored.items():
            (folder / ".storage" / name).write_text(json.dumps(content))
        super().__init__([program, "--config", folder], self._runs)

    def _runs(self) -> bool:
        config = self.api("GET", "config")
        return config.is_success and config.json()["state"] == "RUNNING"

    def api(self, method: str, path: str, **words: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.request(method, f"{self.url}/api/{path}", headers=headers, timeout=60, trust_env=False, **words)

    def set_state(self, sensor: str, state: object, **attributes: object) -> None:
        self.api("POST", f"states/{sensor}", json={"state": str(state), "attributes": attributes}).raise_for_status()

    def import_statistics(self, sensor: str, start: datetime, values: list[dict[str, float]], *, meter: bool) -> None:
        """Write long-term statistics, an hour each, as Home Assistant's own importers do."""
        hours = [
            {"start": datetime.fromtimestamp(start.timestamp() + 3600 * number, UTC).isoformat()} | value
            for number, value in enumerate(values)
        ]
        of = {
            "statistic_id": sensor,
            "source": "recorder",
            "name": None,
            "unit_of_measurement": "kWh" if meter else "°C",
        }
        metadata = of | {"has_mean": not meter, "has_sum": meter}
        with connect(f"ws{self.url.removeprefix('http')}/api/websocket", max_size=None) as connection:
            connection.recv()
            connection.send(json.dumps({"type": "auth", "access_token": self.token}))
            connection.recv()
            numbers = count(1)

            def ask(**command: Any) -> Any:
                connection.send(json.dumps(command | {"id": next(numbers)}))
                return json.loads(connection.recv())["result"]

            ask(type="recorder/import_statistics", stats=hours, metadata=metadata)
            last = {"start_time": hours[-1]["start"], "statistic_ids": [sensor], "period": "hour"}
            eventually(lambda: ask(type="recorder/statistics_during_period", **last))
