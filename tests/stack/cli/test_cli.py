import os
import shlex
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner, Result

from stack.cli import main
from stack.core.settings import ROOT
from tests.stacks import own_environment


def stack(*words: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, words, env=env, catch_exceptions=False)


def process(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stack", *words]
    return subprocess.run(command, cwd=ROOT, env=os.environ | (env or {}), capture_output=True, text=True, check=False)


@pytest.fixture
def env(tmp_path):
    return own_environment(tmp_path / "home")


@pytest.mark.parametrize("command", ["", *main.commands])
def test_every_command_has_help(command):
    answer = CliRunner().invoke(main, [*command.split(), "--help"])

    assert answer.exit_code == 0
    assert len(answer.output.splitlines()) > 3


def test_help_is_there_at_once():
    began = time.monotonic()
    process("--help")
    first = time.monotonic() - began
    loaded = (
        "import sys, stack.cli; print(sorted({'pydantic', 'httpx', 'psutil', 'yaml', 'pandas'} & set(sys.modules)))"
    )

    assert subprocess.check_output([sys.executable, "-c", loaded], cwd=ROOT, text=True).strip() == "[]"
    assert first < 5  # 0.1 s on an idle machine


def test_an_error_of_the_user_is_shown_without_a_traceback(env):
    answer = process("status", env=env | {"STACK_MLFLOW_PORT": "high"})

    assert answer.returncode == 1
    assert answer.stderr.startswith("error: environment, key STACK_MLFLOW_PORT:")
    assert "Traceback" not in answer.stderr


def test_a_wrong_option_ends_with_2():
    assert stack("up", "--runtime", "docker").exit_code == 2


def test_a_misspelt_project_names_the_nearest(env):
    answer = stack("train", "flight", env=env)

    assert answer.exit_code == 1 and "did you mean 'flights'?" in answer.stderr


def test_a_run_without_a_server_names_the_command_that_starts_it(env):
    answer = stack("train", "flights", "--until", "2013-03-01T00:00:00Z", env=env)

    assert answer.exit_code == 1 and "make up" in answer.stderr


def test_a_key_that_names_no_authority_is_refused_and_not_shown(env):
    answer = stack("join", "--url", "https://127.0.0.1:9", env=env | {"JOIN_KEY": ".secret"})

    assert answer.exit_code == 1 and "KEY:" in answer.stderr and "secret" not in answer.stderr


def test_the_key_of_prefect_is_hidden_on_a_terminal_alone(env):
    words = shlex.join([sys.executable, "-m", "stack", "env"])
    terminal = subprocess.run(
        ["script", "--quiet", "--command", words, "/dev/null"],
        cwd=ROOT, env=os.environ | env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert "PREFECT_API_AUTH_STRING=hidden" in terminal.stdout and env["STACK_PREFECT_KEY"] not in terminal.stdout
    assert f"PREFECT_API_AUTH_STRING={env['STACK_PREFECT_KEY']}" in stack("env", env=env).stdout


def test_an_instant_without_a_zone_is_refused(env):
    answer = stack("ingest", "flights", "--since", "2013-03-01", env=env)

    assert answer.exit_code == 1 and "ISO 8601 with a zone" in answer.stderr


def test_status_of_a_stopped_stack(env):
    answer = stack("status", env=env)

    assert answer.exit_code == 1
    assert "mlflow" in answer.stdout and "stopped" in answer.stdout


def test_down_and_clean_of_a_stack_that_never_ran(env):
    assert stack("down", env=env).stdout == "nothing ran\n"
    assert stack("clean", "--yes", env=env).exit_code == 0


def test_clean_asks_first(env):
    answer = CliRunner().invoke(main, ["clean"], input="n\n", env=env)

    assert answer.exit_code == 1 and "Delete all state in" in answer.output


def test_restore_takes_the_newest_archive_and_asks_first(env, tmp_path):
    env |= {"STACK_BACKUP_FOLDER": str(tmp_path)}
    none = stack("restore", env=env)
    for name in ("stack-20261128T000000Z.tar.gz", "stack-20261129T000000Z-ab.tar.gz"):
        (tmp_path / name).write_text("no archive")
    asked, sure = stack("restore", env=env), stack("restore", "--yes", env=env)

    assert "no archive" in none.stderr and none.exit_code == 1
    assert f"Restore {tmp_path}/stack-20261129T000000Z-ab.tar.gz, the newest archive?" in asked.stdout
    assert "stack-20261129T000000Z-ab.tar.gz" in sure.stderr


def test_the_exports_can_be_evaluated(env):
    keys = [
        "PREFECT_API_URL",
        "MLFLOW_TRACKING_URI",
        "FEAST_FS_YAML_FILE_PATH",
        "STACK_PREDICTION_URL",
        "STACK_MONITORING_URL",
        "STACK_PORTAL_URL",
    ]
    script = f'eval "$({shlex.quote(sys.executable)} -m stack env)"; printenv {" ".join(keys)}; command -v feast'

    lines = subprocess.check_output(["bash", "-c", script], cwd=ROOT, env=os.environ | env, text=True).splitlines()

    assert lines[0] == f"http://127.0.0.1:{env['STACK_PREFECT_PORT']}/api"
    assert lines[1] == f"http://127.0.0.1:{env['STACK_MLFLOW_PORT']}"
    assert lines[2] == str(ROOT / "feature_repo" / "feature_store.yaml")
    assert lines[-1].startswith(str(sys.prefix))


def test_logs_of_an_unknown_service_name_the_nearest(env, tmp_path):
    logs = tmp_path / "home" / "logs"
    logs.mkdir(parents=True)
    (logs / "mlflow.log").write_text("one\ntwo\nthree\n")

    assert stack("logs", "mlflow", "--lines", "2", env=env).stdout == "two\nthree\n"
    assert stack("logs", "mlflow", "--lines", "0", env=env).stdout == ""
    assert "did you mean 'mlflow'" in stack("logs", "mlfow", env=env).stderr


def test_a_replay_until_nonsense_is_refused(env):
    answer = stack("replay", "flights", "--until", "christmas", env=env)
    assert answer.exit_code == 1
    assert "'christmas'" in answer.stderr
