import subprocess
from pathlib import Path

import pytest

from stack.core.errors import StackError
from stack.core.runtimes import RUNTIMES
from stack.core.settings import load
from stack.ops import compose_file, runtimes, versions
from stack.ops.compose import docker, image, ownership
from stack.ops.compose.runtime import ComposeRuntime
from stack.ops.credentials import PASSWORDS
from stack.ops.local.runtime import LocalRuntime
from stack.ops.runtimes import Runtime
from tests.stacks import own_environment


@pytest.fixture
def nowhere(monkeypatch):
    """A machine whose Docker client finds no engine."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")


def settings(tmp_path, runtime="auto", **values):
    return load(
        own_environment(tmp_path / "home") | {"STACK_NAME": "never-started", "STACK_RUNTIME": runtime} | values,
        Path("/dev/null"),
    )


def test_without_an_engine_auto_means_processes(tmp_path, nowhere):
    assert runtimes.to_start(settings(tmp_path), print).name == "local"
    assert runtimes.current(settings(tmp_path)).name == "local"


def test_without_an_engine_containers_are_refused_with_the_reason(tmp_path, nowhere):
    with pytest.raises(StackError, match="runtime compose") as refused:
        runtimes.to_start(settings(tmp_path, "compose"), print)

    assert "RUNTIME=local" in str(refused.value)


def test_a_start_goes_on_with_the_state_that_there_is(tmp_path, monkeypatch):
    monkeypatch.setattr(docker, "engine", lambda: None)
    monkeypatch.setattr(docker, "volumes", lambda _: [])
    monkeypatch.setattr(docker, "running", lambda _: [])
    own, said = settings(tmp_path), []
    assert runtimes.to_start(own, said.append).name == "compose" and said == []
    versions.write(own)
    assert runtimes.to_start(own, said.append).name == "local" and "RUNTIME=compose" in said.pop()
    assert runtimes.to_start(settings(tmp_path, "compose"), said.append).name == "compose" and said == []


def test_one_runtime_is_refused_while_the_other_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(LocalRuntime, "running", lambda _: True)

    with pytest.raises(StackError, match="make down"):
        runtimes.to_start(settings(tmp_path, "compose"), print)
    assert runtimes.current(settings(tmp_path)).name == "local"


def test_lost_passwords_of_a_kept_volume_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(docker, "engine", lambda: None)
    monkeypatch.setattr(docker, "volumes", lambda _: ["never-started_postgres"])

    with pytest.raises(StackError, match="STACK_POSTGRES_PASSWORD"):
        ComposeRuntime(settings(tmp_path, "compose")).up(print)


def test_the_fingerprint_of_the_image_follows_what_it_holds(tmp_path):
    (tmp_path / ".dockerignore").write_text("*\n!stack\n!projects\n!a.lock\n**/__pycache__\n")
    (tmp_path / "Dockerfile").write_text("FROM nothing")
    (tmp_path / "stack" / "__pycache__").mkdir(parents=True)
    (tmp_path / "stack" / "a.py").write_text("a")
    before = image.sources(tmp_path)

    (tmp_path / "stack" / "__pycache__" / "a.pyc").write_text("b")
    (tmp_path / "README.md").write_text("c")
    (tmp_path / "projects").mkdir()
    (tmp_path / "projects" / "source.py").write_text("mounted")
    assert image.sources(tmp_path) == before

    (tmp_path / "stack" / "a.py").write_text("d")
    assert image.sources(tmp_path) != before


def test_shells_get_what_is_reached_from_outside(tmp_path):
    text = ComposeRuntime(settings(tmp_path, "compose")).exports({"PATH": "/usr/bin"}, secrets=False)

    assert "export MLFLOW_TRACKING_URI=http://127.0.0.1:" in text
    assert str(tmp_path) not in text and "sqlite" not in text
    assert "feast() { docker exec" in text


SECRET = "s3cret'$(touch pwned)"


@pytest.mark.parametrize("runtime", [LocalRuntime, ComposeRuntime])
@pytest.mark.parametrize("secrets", [False, True])
def test_shells_get_no_secret_but_the_key_of_prefect_unless_asked(tmp_path, runtime, secrets):
    database = f"postgresql://stack:{SECRET}@db.example/state"
    given = {"STACK_ALERT_URLS": f"ntfy://{SECRET}", "STACK_STATE_DATABASE": database, "STACK_PREFECT_KEY": "key"}
    given |= {"STACK_LAKE_REMOTE": f"webdav://me:{SECRET}@nas"}
    stack = settings(tmp_path, runtime.name, **given, **{f"STACK_{name}".upper(): SECRET for name in PASSWORDS})

    text = runtime(stack).exports({"PATH": "/usr/bin"}, secrets=secrets)

    assert "export PREFECT_API_AUTH_STRING=key" in text and "export MLFLOW_TRACKING_URI=" in text
    assert (SECRET in text.replace("""'"'"'""", "'")) is secrets
    assert ("# STACK_ALERT_URLS is left out" in text) is not secrets
    shown = subprocess.check_output(["sh", "-c", f'{text}\nprintf %s "$STACK_ALERT_URLS"'], cwd=tmp_path, text=True)
    assert shown == (given["STACK_ALERT_URLS"] if secrets else "") and not (tmp_path / "pwned").exists()


def test_profiles_of_a_start_are_read_by_every_later_command(tmp_path):
    file = tmp_path / ".env"
    runtimes.remember(ComposeRuntime(settings(tmp_path, STACK_PROFILES="lan, dask")), file)
    assert load({}, file).optional == {"lan", "dask"}

    runtimes.remember(LocalRuntime(settings(tmp_path, STACK_PROFILES="none")), file)
    assert load({}, file).optional == frozenset()


@pytest.mark.parametrize(("profiles", "refused"), [("lam", "did you mean 'lan'"), ("notebook", "RUNTIME=compose")])
def test_a_profile_that_cannot_be_had_is_not_kept(tmp_path, profiles, refused):
    with pytest.raises(StackError, match=refused):
        runtimes.remember(LocalRuntime(settings(tmp_path, STACK_PROFILES=profiles)), tmp_path / ".env")
    assert not (tmp_path / ".env").exists()


def test_another_checkout_owns_what_it_has_made_until_it_is_gone(tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder in (ours, theirs):
        folder.mkdir()
        (folder / "docker-compose.yml").touch()

    assert ownership.other([str(ours), ""], ours) is None
    assert ownership.other([str(ours), str(theirs)], ours) == str(theirs)
    theirs.rename(tmp_path / "moved")
    assert ownership.other([str(theirs)], ours) is None


def test_every_runtime_has_the_same_files_and_all_that_the_interface_asks_for(tmp_path):
    parts = {"runtime", "startup", "status", "logs", "backup"}
    for runtime in runtimes.every(settings(tmp_path)):
        folder = Path(runtimes.__file__).parent / runtime.name
        assert parts <= {path.stem for path in folder.glob("*.py")}
        assert runtime.name in RUNTIMES and isinstance(runtime, Runtime)


def test_a_command_beside_the_state_runs_here_for_processes(tmp_path):
    ran: list[str] = []

    LocalRuntime(settings(tmp_path)).beside_state(lambda: ran.append("here"), ["audit", "flights"], ran.append)

    assert ran == ["here"]


@pytest.mark.parametrize(("text", "expected"), [("12.5MiB", 13107200), ("1.5GiB", 1610612736), ("0B", 0)])
def test_reads_sizes(text, expected):
    assert docker._bytes(text) == expected


def test_servers_are_those_that_only_containers_have(tmp_path):
    assert compose_file.servers(settings(tmp_path)) == ["postgres", "redis"]
