from pathlib import Path

import pytest

from stack.core import env_example
from stack.core.errors import StackError
from stack.core.settings import ROOT, Settings, load

NOTHING = Path("/dev/null")
EXAMPLE = ROOT / ".env.example"


def test_the_environment_wins_over_the_file(tmp_path):
    file = tmp_path / ".env"
    file.write_text("STACK_MLFLOW_PORT=5001\nSTACK_PREFECT_PORT=4201\n")

    settings = load({"STACK_MLFLOW_PORT": "5002", "HOME": "/root"}, file)

    assert (settings.mlflow_port, settings.prefect_port) == (5002, 4201)
    assert settings.mlflow_url == "http://127.0.0.1:5002"


def test_databases_lie_below_the_home(tmp_path):
    settings = load({"STACK_HOME": str(tmp_path)}, NOTHING)

    assert settings.mlflow_database == f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    assert settings.logs == tmp_path / "logs"


def test_a_relative_home_is_below_the_checkout():
    assert load({"STACK_HOME": "elsewhere"}, NOTHING).home == ROOT / "elsewhere"


def test_a_server_that_listens_everywhere_is_reached_on_the_loopback():
    settings = load({"STACK_HOST": "0.0.0.0"}, NOTHING)

    assert settings.bind == "0.0.0.0"
    assert settings.mlflow_url == settings.address("mlflow") == "http://127.0.0.1:5000"


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("STACK_MLFLOW_PORTS", "1", ["an unknown key, did you mean 'STACK_MLFLOW_PORT'?"]),
        ("STACK_MLFLOW_PORT", "high", ["'high'", "valid integer"]),
        ("STACK_MLFLOW_PORT", "70000", ["'70000'", "65535"]),
        ("STACK_RUNTIME", "docker", ["'docker'", "'local'"]),
    ],
)
def test_a_wrong_key_is_refused_with_its_place(tmp_path, key, value, words):
    file = tmp_path / ".env"
    file.write_text(f"{key}={value}\n")

    with pytest.raises(StackError) as refused:
        load({}, file)

    assert f"{file}, key {key}" in str(refused.value)
    assert all(word in str(refused.value) for word in words)


def test_what_a_process_is_given_makes_the_same_settings(tmp_path):
    settings = load({"STACK_HOME": str(tmp_path), "STACK_MLFLOW_PORT": "5002"}, NOTHING)

    assert load(settings.environment(), NOTHING) == settings


def test_the_example_file_is_current(tmp_path):
    assert EXAMPLE.read_text() == env_example.text(), "python -m stack.core.env_example > .env.example"


def test_every_setting_is_described_and_the_example_holds_the_defaults(tmp_path):
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
    file = tmp_path / ".env"
    file.write_text("".join(line.removeprefix("# ") for line in EXAMPLE.read_text().splitlines(keepends=True)[1:]))

    listed = {line.split("=")[0] for line in file.read_text().splitlines()}

    assert listed == {f"STACK_{name}".upper() for name in Settings.model_fields}
    assert load({}, file) == load({}, NOTHING)
