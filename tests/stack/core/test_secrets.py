import json

import pytest

from stack.core import secrets
from stack.core.errors import StackError
from stack.core.settings import load


@pytest.fixture
def env(tmp_path, monkeypatch):
    file = tmp_path / ".env"
    file.write_text("STACK_HOME=/elsewhere\nMQTT_PASSWORD='pa$$w0rd'\nHOST=broker.lan\n")
    monkeypatch.setattr(secrets, "FILE", file)
    return file


def test_a_reference_stands_for_a_key_of_the_env_file(env):
    assert secrets.resolve("mqtt://me:${MQTT_PASSWORD}@${HOST}/$x", "here") == "mqtt://me:pa$$w0rd@broker.lan/$x"
    assert load({}, env).home.name == "elsewhere"


@pytest.mark.parametrize("name", ["MQTT_PASSWORT", "STACK_HOME"])
def test_a_missing_key_is_named_with_its_place(env, name):
    with pytest.raises(StackError) as refused:
        secrets.resolve(f"${{{name}}}", "project.yaml, key publish")

    assert all(word in str(refused.value) for word in ("project.yaml, key publish", name, ".env"))
    assert "pa$$w0rd" not in str(refused.value)


def test_a_container_is_given_all_of_them_by_its_environment(env, monkeypatch, tmp_path):
    monkeypatch.setenv(secrets.VARIABLE, secrets.exported())
    monkeypatch.setattr(secrets, "FILE", tmp_path / "none")

    assert json.loads(secrets.exported()) == {"MQTT_PASSWORD": "pa$$w0rd", "HOST": "broker.lan"}
    assert secrets.resolve("${HOST}", "here") == "broker.lan"


def test_a_message_names_a_secret_instead_of_its_value(env):
    assert secrets.redact("cannot reach mqtt://me:pa$$w0rd@x") == "cannot reach mqtt://me:${MQTT_PASSWORD}@x"


def test_a_misspelt_setting_is_no_secret(env):
    env.write_text("STAK_HOME=/elsewhere\n")

    with pytest.raises(StackError, match="STACK_HOME"):
        load({}, env)
