"""What leaves the stack answers as the endpoint does: the wheel in an empty environment, the Bento on a port."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from stack.core.settings import ROOT, Settings
from stack.project import Project, contract
from stack.specification import example, specs
from stack.takeaway import packages
from tests.polling import PATIENCE_SECONDS, eventually
from tests.stacks import free_ports

pytestmark = pytest.mark.services
FLIGHTS = specs.load("flights")
ROWS = 1000
Answers = list[dict[str, Any]]


@pytest.fixture(scope="module")
def asked(running: Settings) -> tuple[Answers, Answers]:
    """A thousand requests with the stored features that answered them, and the endpoint's answers."""
    now = Project(running, FLIGHTS).clock.now()
    requests = contract.request_source(FLIGHTS.name).requests(now, now + timedelta(days=3)).head(ROWS)
    rows = json.loads(requests[list(FLIGHTS.request)].to_json(orient="records", date_format="iso", date_unit="us"))
    answers = post(running.prediction_url, rows)
    logged = Project(running, FLIGHTS).log.read(now - timedelta(seconds=1), now).set_index("id")
    stored = [name for name in FLIGHTS.features.columns if name.endswith("h")]
    stored += [view for view in ("temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "visib")]
    features = logged.loc[[answer["prediction_id"] for answer in answers], stored].astype(float).to_dict("records")
    stored_values = [{name: value for name, value in row.items() if value == value} for row in features]  # noqa: PLR0124
    assert sum(map(len, stored_values)) > ROWS * 20
    return [row | values for row, values in zip(rows, stored_values, strict=True)], answers


def post(url: str, rows: Answers) -> Answers:
    """Ask about rows, 200 a request."""
    answers: Answers = []
    for start in range(0, len(rows), 200):
        body = {"rows": rows[start : start + 200]}
        reply = httpx.post(f"{url}/flights/predict", json=body, timeout=PATIENCE_SECONDS, trust_env=False)
        assert reply.status_code == 200, reply.text
        answers += reply.json()
    return answers


def test_the_wheel_answers_in_an_empty_environment(
    running: Settings, asked: tuple[Answers, Answers], tmp_path: Path
) -> None:
    built = packages.wheel(Project(running, FLIGHTS), tmp_path)
    assert not any(name.endswith("background.json") for name in zipfile.ZipFile(built).namelist()), "rows are data"
    python = installed(built, tmp_path / "venv")
    rows, answers = asked
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    command = [python.with_name("flights-predict"), tmp_path / "rows.json"]
    process = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    predicted = [json.loads(line) for line in process.stdout.splitlines()]
    assert [row["probability"] for row in predicted] == [row["probability"] for row in answers]
    assert [row["decision"] for row in predicted] == [row["decision"] for row in answers]

    script = (
        "import flights_model, importlib.util as u; print([n for n in ('feast', 'mlflow', 'stack') if u.find_spec(n)])"
    )
    assert subprocess.check_output([python, "-I", "-c", script], cwd=tmp_path, text=True).strip() == "[]"
    wrong = [python, "-I", "-c", "from flights_model import predict; predict([{'carier': 'UA'}])"]
    error = subprocess.run(wrong, cwd=tmp_path, capture_output=True, text=True, check=False).stderr
    assert "did you mean 'carrier'" in error


def installed(built: Path, folder: Path) -> Path:
    """Install a wheel into an environment of its own, from uv's cache alone."""
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "--quiet", "--offline", "--python", sys.executable, folder], check=True)
    words = ["pip", "install", "--quiet", "--offline", "--constraint", ROOT / "requirements.lock", built]
    python = folder / "bin/python"
    process = subprocess.run([uv, *words, "--python", python], cwd=folder, capture_output=True, text=True, check=False)
    if process.returncode:
        pytest.skip(f"NOT TESTED: uv's cache lacks the wheel's packages: {process.stderr[-300:]}")
    return python


@pytest.fixture
def served(running: Settings, tmp_path: Path) -> Iterator[str]:
    """The address of the Bento, served by BentoML's command."""
    path = packages.bento(Project(running, FLIGHTS), tmp_path)
    assert path.is_file()
    (port,) = free_ports(1)
    tag = f"flights:{Project(running, FLIGHTS).registry.require_champion().version}"
    command = [sys.executable, "-m", "bentoml", "serve", tag, "--host", "127.0.0.1", "--port", str(port)]
    with (tmp_path / "log").open("w") as log:
        environ = packages.environment(running) | {"OMP_NUM_THREADS": "1"}
        server = subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=log, stderr=log, start_new_session=True)
        try:
            url = f"http://127.0.0.1:{port}"
            ready = f"{url}/readyz"
            eventually(lambda: httpx.get(ready, trust_env=False).is_success, alive=lambda: server.poll() is None)
            yield url
        finally:
            os.killpg(server.pid, 15)
            server.wait(timeout=PATIENCE_SECONDS)


def test_the_bento_keeps_the_contract_of_the_endpoint(asked: tuple[Answers, Answers], served: str) -> None:
    rows, answers = asked
    predicted = post(served, rows)
    assert [row["probability"] for row in predicted] == [row["probability"] for row in answers]
    assert list(predicted[0]) == list(answers[0])
    assert {row["model_version"] for row in predicted} == {row["model_version"] for row in answers}

    plain = example.row(FLIGHTS)
    (bare,) = post(served, [plain])
    assert bare["warnings"] == ["25 of 25 stored features were not given"]
    wrong = httpx.post(
        f"{served}/flights/predict", json={"rows": [plain | {"origin": 7}]}, timeout=PATIENCE_SECONDS, trust_env=False
    )
    assert wrong.status_code == 400
    assert "found 7, expected a text" in wrong.text
