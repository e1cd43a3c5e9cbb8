"""A new service is an entry in three files: the Compose file, the settings, and the portal's table of tools."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.checkouts import interpreter
from stack.core.settings import ROOT
from tests.stacks import free_ports

SERVICE = """
  sample:
    <<: *own
    command: [python, -m, http.server, --bind, "${STACK_BIND:-0.0.0.0}", "${STACK_SAMPLE_PORT:-7777}"]
    ports: ["${STACK_HOST:-127.0.0.1}:${STACK_SAMPLE_PORT:-7777}:${STACK_SAMPLE_PORT:-7777}"]
    mem_limit: 128m
    healthcheck:
      <<: *check
      test: [CMD, python, -m, stack.ops.probe, "http://127.0.0.1:${STACK_SAMPLE_PORT:-7777}/"]
"""
INSERTED = {
    "docker-compose.yml": {
        "\nnetworks:\n": SERVICE,
        "  STACK_FEAST_UI_PORT:": "  STACK_SAMPLE_PORT: ${STACK_SAMPLE_PORT:-7777}\n",
    },
    "stack/core/settings.py": {
        "    notebook_port: Port": '    sample_port: Port = Field(7777, title="Sample", description="A port.")\n'
    },
    "stack/ops/tools.py": {'    Tool("Evidently"': '    Tool("Sample", "Shows a folder", "sample", "/"),\n'},
}
"""File -> line -> text that is inserted before it."""
PORTAL = """
import json, time
from starlette.testclient import TestClient
from services.portal.app import build
from stack.core.settings import settings
with TestClient(build(settings()), base_url="http://127.0.0.1") as client:
    while "nothing answers on port" not in (page := client.get("/").text):
        time.sleep(0.05)
print(json.dumps(page))
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Run Python in a copy of the checkout that has the sample service."""
    folder: Path = tmp_path_factory.mktemp("checkout")
    for room in ("stack", "services", "monitoring", "flows", "feature_repo", "projects"):
        shutil.copytree(ROOT / room, folder / room)
    for file in ("docker-compose.yml", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / file, folder)
    for name, places in INSERTED.items():
        text = (folder / name).read_text()
        for place, inserted in places.items():
            assert text.count(place) == 1, f"{name}: {place}"
            text = text.replace(place, inserted + place)
        (folder / name).write_text(text)
    python = interpreter(folder)
    (port,) = free_ports(1)
    keys = {"STACK_HOME": str(folder / "var"), "STACK_SAMPLE_PORT": str(port), "STACK_RUNTIME": "local"}
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "STACK_"))} | keys

    def output(*arguments: str, exit_code: int = 0) -> str:
        result = subprocess.run([python, *arguments], cwd=folder, env=environ, capture_output=True, text=True)
        assert result.returncode == exit_code, result.stderr
        return result.stdout.replace(str(port), "<port>")

    return output


def test_three_files_are_enough():
    assert len(INSERTED) <= 3


def test_it_is_in_the_list_of_services_with_its_port_and_check(run):
    code = (
        "import json; from stack.core.settings import settings; from stack.ops import compose_file;"
        "print(json.dumps({s.name: [s.ports, s.health and s.health.probe] for s in compose_file.services(settings())}))"
    )
    services = json.loads(run("-c", code).replace("<port>", "7777"))
    assert services["sample"] == [[7777], ["http://127.0.0.1:7777/"]]


def test_status_shows_it(run):
    lines = run("-m", "stack", "status", exit_code=1).splitlines()
    (row,) = [line.split() for line in lines if line.startswith("sample")]
    assert (row[:2], row[-1]) == (["sample", "<port>"], "stopped")


def test_the_environment_names_its_port(run):
    assert "STACK_SAMPLE_PORT=<port>" in run("-m", "stack", "env")


def test_it_is_a_documented_setting_and_an_address_at_the_end_of_make_up(run):
    assert "# STACK_SAMPLE_PORT=7777" in run("-m", "stack.core.env_example")
    code = (
        "from stack.core.settings import settings; from stack.ops import welcome; print(welcome.addresses(settings()))"
    )
    assert "'Sample': 'http://127.0.0.1:<port>/'" in run("-c", code)


def test_the_home_page_shows_it(run):
    page = json.loads(run("-c", PORTAL))
    assert 'href="http://127.0.0.1:<port>/"' in page
    assert '<span class="name">Sample</span>' in page
