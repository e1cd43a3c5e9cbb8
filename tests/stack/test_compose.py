from pathlib import Path

import pytest
import yaml

from stack.errors import StackError
from stack.runtime import compose
from stack.runtime.compose import seconds, services
from stack.settings import Settings, load

RAW = yaml.safe_load(compose.FILE.read_text())
EMBEDDED = {"postgres", "redis"}
NOT_FOR_PROCESSES = {"STACK_RUNTIME", "STACK_PROFILES"}
OF_ONE_SERVER = {"STACK_MLFLOW_DATABASE", "STACK_PREFECT_DATABASE"}


def settings(tmp_path, **values) -> Settings:
    return load({"STACK_HOME": str(tmp_path)} | values, Path("/dev/null"))


def written(tmp_path, **bodies) -> Path:
    file = tmp_path / "compose.yml"
    file.write_text(yaml.safe_dump({"services": bodies}))
    return file


def test_runs_what_is_built_here_and_leaves_out_database_servers(tmp_path):
    names = {service.name for service in services(settings(tmp_path))}

    assert names == set(RAW["services"]) - EMBEDDED - {"feast-ui"}
    assert "feast-ui" in {one.name for one in services(settings(tmp_path, STACK_PROFILES="feast-ui"))}


def test_a_service_follows_those_that_it_needs(tmp_path):
    placed: set[str] = set()
    for service in services(settings(tmp_path, STACK_PROFILES="feast-ui")):
        assert set(service.needs) <= placed
        placed.add(service.name)


def test_the_embedded_defaults_take_the_place_of_the_servers(tmp_path):
    for service in services(settings(tmp_path)):
        assert not [value for value in service.environment.values() if "@postgres" in value or "redis:" in value]
        assert service.environment["STACK_HOME"] == str(tmp_path)


def test_every_address_follows_the_settings(tmp_path):
    moved = {f"STACK_{name}".upper(): str(20000 + i) for i, name in enumerate(Settings.model_fields) if "_port" in name}

    for service in services(settings(tmp_path, **moved)):
        for port in service.ports:
            assert str(port) in moved.values()
        assert not service.health or not [word for word in service.health.probe if ":5000" in word or "mlflow:" in word]


def test_every_setting_reaches_the_services():
    keys = {f"STACK_{name}".upper() for name in Settings.model_fields}

    assert keys - set(RAW["x-environment"]) == NOT_FOR_PROCESSES | OF_ONE_SERVER


def test_only_the_front_doors_are_published_and_only_on_the_chosen_address():
    for name, body in RAW["services"].items():
        assert all(port.startswith("${STACK_HOST:-127.0.0.1}:") for port in body.get("ports", [])), name
        assert not (name in EMBEDDED and "ports" in body)


def test_every_container_is_hardened_limited_and_checked():
    for name, body in RAW["services"].items():
        assert body["cap_drop"] == ["ALL"], name
        assert body["security_opt"] == ["no-new-privileges:true"], name
        assert body["mem_limit"] and body["logging"]["options"]["max-size"], name
        assert body["restart"] == "no" or body["healthcheck"]["start_period"], name
        assert not body["image"].endswith(":latest") and ":" in body["image"], name


def test_a_changed_environment_changes_the_fingerprint(tmp_path):
    before = {one.name: one.fingerprint for one in services(settings(tmp_path))}
    after = {one.name: one.fingerprint for one in services(settings(tmp_path, STACK_KEEP_DAYS="30"))}

    assert before == {one.name: one.fingerprint for one in services(settings(tmp_path))}
    assert before["prefect"] != after["prefect"]


def test_services_that_wait_for_each_other_are_refused(tmp_path):
    need = {"condition": "service_started"}
    one = {"build": ".", "command": ["a"], "depends_on": {"two": need}}
    two = {"build": ".", "command": ["b"], "depends_on": {"one": need}}

    with pytest.raises(StackError, match="one, two wait for each other"):
        services(settings(tmp_path), written(tmp_path, one=one, two=two))


def test_a_check_that_only_one_runtime_understands_is_refused(tmp_path):
    check = {"test": ["CMD", "curl", "x"], "interval": "1s", "timeout": "1s", "retries": 1, "start_period": "1s"}

    with pytest.raises(StackError, match=r"services\.one\.healthcheck\.test"):
        services(settings(tmp_path), written(tmp_path, one={"build": ".", "command": ["a"], "healthcheck": check}))


def test_an_unknown_profile_names_the_nearest(tmp_path):
    with pytest.raises(StackError, match="did you mean 'feast-ui'"):
        services(settings(tmp_path, STACK_PROFILES="feast_ui"))


@pytest.mark.parametrize(("text", "expected"), [("10s", 10), ("1m30s", 90), ("500ms", 0.5), ("1h", 3600)])
def test_reads_durations(text, expected):
    assert seconds(text) == expected
