import json
import os
import socket
from pathlib import Path

import pytest

from stack.core import saved
from stack.core.errors import StackError
from stack.core.settings import load
from stack.ops import doctor, ports, versions
from stack.ops.local.runtime import LocalRuntime
from tests.stacks import free_ports


@pytest.fixture
def settings(tmp_path):
    """A stack that has never run, on free ports."""
    names = ("PORTAL", "PREDICTION", "PREFECT", "MLFLOW", "FEATURES", "MONITORING", "FEAST_UI")
    chosen = {f"STACK_{name}_PORT": str(port) for name, port in zip(names, free_ports(len(names)), strict=True)}
    return load({"STACK_HOME": str(tmp_path / "home")} | chosen, Path("/dev/null"))


def by_name(settings) -> dict[str, doctor.Finding]:
    return {finding.name: finding for finding in LocalRuntime(settings).findings()}


def test_a_sound_machine_has_nothing_to_do(settings):
    findings = by_name(settings)

    bad = [str(finding) for finding in findings.values() if not finding.good]
    assert [text for text in bad if not text.startswith(("LOOK  disk", "LOOK  memory"))] == []
    assert {"Python", "packages", "secrets", "disk", "memory", "state", "leftovers"} <= set(findings)


def test_a_taken_port_is_named_with_its_holder_and_the_key_to_change(settings):
    with socket.create_server(("127.0.0.1", settings.mlflow_port)):
        finding = by_name(settings)[f"port {settings.mlflow_port} of mlflow"]

    assert f"pid {os.getpid()}" in finding.detail
    assert "STACK_MLFLOW_PORT" in finding.todo


def test_the_feast_ui_key_is_a_setting():
    from stack.ops.compose_file import Service

    service = Service("feast-ui", ("feast",), {}, None, needs=(), uses=(), ports=(8888,), grace=1, once=False)
    assert ports.key(service) == "STACK_FEAST_UI_PORT"


@pytest.mark.parametrize(("version", "good"), [((3, 10), False), ((3, 11), True), ((3, 13), True), ((3, 15), False)])
def test_judges_the_python_version(version, good):
    assert doctor.python(version).good is good


def test_secrets_that_others_may_read_are_named(settings, tmp_path):
    env = tmp_path / ".env"
    env.touch()
    env.chmod(0o644)
    alarmed = settings.model_copy(update={"alert_urls": "ntfy://ntfy.sh/topic"})

    settings.home.mkdir()
    saved.path(settings.home).write_text("STACK_ALERT_URLS=ntfy://ntfy.sh/other")

    assert doctor.secrets(settings.renewed(), env).good  # it stands elsewhere
    assert "STACK_ALERT_URLS" in doctor.secrets(alarmed, env).detail and "topic" not in str(
        doctor.secrets(alarmed, env)
    )
    env.chmod(0o600)
    assert doctor.secrets(alarmed, env).good


def test_too_little_memory_says_what_to_do():
    finding = doctor.memory(running=False, available=doctor.GIB // 2)

    assert not finding.good
    assert "0.5 GiB available, 3 needed" in str(finding) and "->" in str(finding)


def test_state_of_other_versions_is_named(settings):
    settings.home.mkdir()
    versions.write(settings)
    assert doctor.state_versions(settings).good

    versions.file(settings).write_text(json.dumps(versions.current() | {"mlflow": "2.0.0"}))
    finding = doctor.state_versions(settings)

    assert "mlflow 2.0.0 -> 3" in finding.detail and "migrates" in finding.todo


def test_state_of_a_newer_stack_is_refused(settings):
    settings.home.mkdir()
    versions.file(settings).write_text(json.dumps({"layout": versions.LAYOUT + 1}))

    with pytest.raises(StackError, match="use the newer checkout"):
        versions.check(settings)
