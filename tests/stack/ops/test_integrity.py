"""Models and databases are compared with what was registered and with their own checks."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from stack.core import problems
from stack.core.settings import Settings
from stack.ops import integrity
from stack.project import Project
from stack.registry import artifacts
from stack.specification import specs


def test_a_damaged_artifact_of_a_model_is_named(tracked, client, town, tmp_path, monkeypatch):
    (tmp_path / "model.onnx").write_bytes(b"weights")
    run = client.create_run(client.create_experiment(town.name)).info
    client.log_artifacts(run.run_id, str(tmp_path), artifacts.SERVED)
    client.create_registered_model(town.name)
    tags = {artifacts.HASHES: json.dumps(artifacts.hashes(tmp_path))}
    client.create_model_version(town.name, f"{run.artifact_uri}/served", run.run_id, tags=tags)
    monkeypatch.setattr(specs, "names", lambda: [town.name])
    own = Settings(home=tmp_path / "home", mlflow_port=tracked.mlflow_port)

    assert integrity.check(own) == [] and len(Project(own, town).registry.versions()) == 1
    (file,) = Path(tracked.artifacts).glob(f"*/{run.run_id}/artifacts/served/model.onnx")
    os.truncate(file, 3)
    (problem,) = integrity.check(own)

    assert problem.title == "a model is damaged" and "make restore" in problem.todo
    assert f"model {town.name}, version 1, run {run.run_id}, artifact served/model.onnx" in problem.text
    assert [found for _, found in problems.recorded(own)] == [problem]
    file.unlink()
    (problem,) = integrity.check(own)
    assert "no artifacts below served/" in problem.text


@pytest.mark.parametrize("damage", ["page", "cut off"])
def test_a_damaged_database_is_named(tmp_path: Path, damage: str):
    settings = Settings(home=tmp_path, mlflow_port=1)
    file = tmp_path / "state/state.db"
    file.parent.mkdir()
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("CREATE TABLE rows (text TEXT)")
        database.execute("CREATE INDEX by_text ON rows (text)")
        database.executemany("INSERT INTO rows VALUES (?)", ((f"{number:0100}",) for number in range(2000)))
    reported: list[str] = []
    assert integrity.check(settings, reported.append) == []
    assert reported == ["MLflow does not answer: the models are not compared"]

    if damage == "cut off":
        os.truncate(file, file.stat().st_size // 2)
    else:
        content = bytearray(file.read_bytes())
        content[4096 * 20 : 4096 * 22] = os.urandom(8192)
        file.write_bytes(content)
    (problem,) = integrity.check(settings, reported.append)
    assert problem.title == "a database is damaged" and str(file) in problem.text and "make restore" in problem.todo
