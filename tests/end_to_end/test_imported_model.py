"""A model of another tool, from its file to a report and back, by the commands of the documentation."""

import shutil

import httpx
import pytest

from stack.core.settings import ROOT
from stack.project import Project
from stack.specification import specs
from tests.end_to_end.test_titanic import run
from tests.stack.authoring import foreign

NAME, PAGE = "churn", ROOT / "docs" / "models-from-elsewhere.md"
pytestmark = pytest.mark.services


@pytest.fixture
def folder(running, tmp_path):
    """The files that the page names; the project is gone afterwards."""
    foreign.customers().to_csv(tmp_path / "rows.csv", index=False)
    foreign.pipeline(tmp_path / "churn.onnx")
    yield tmp_path
    shutil.rmtree(running.projects / NAME)


def test_a_model_is_served_monitored_and_rolled_back(running, forks, folder):
    (command,) = [line for line in PAGE.read_text().splitlines() if line.startswith("$ make import")]
    _, _, *words = command.split()[1:]
    wishes = dict(word.split("=") for word in words)
    model, sample = str(folder / wishes["MODEL"]), str(folder / wishes["SAMPLE"])
    printed = run(forks, "import", wishes["NAME"], "--model", model, "--sample", sample, "--label", wishes["LABEL"])
    assert '"model_version":"1"' in printed

    rows = foreign.customers(seed=2).rename(columns={"Age (years)": "age_years"})
    url = f"{running.prediction_url}/{NAME}"
    with httpx.Client(trust_env=False, timeout=60) as http:
        answers = http.post(f"{url}/predict", json={"rows": rows.drop(columns="left").to_dict("records")}).json()
        outcomes = zip(answers, rows["left"], strict=True)
        labels = [{"prediction_id": row["prediction_id"], "label": int(left)} for row, left in outcomes]
        assert http.post(f"{url}/feedback", json={"labels": labels}).json()["labelled"] == len(rows)
    assert "completed" in run(forks, "monitor", NAME)

    foreign.pipeline(folder / "churn.onnx", seed=1)
    assert '"model_version":"2"' in run(forks, "import", NAME, "--model", model)
    assert "version 1 is champion again" in run(forks, "rollback", NAME)
    project = Project(running, specs.read(running.projects / NAME / "project.yaml"))
    assert project.registry.require_champion().version == "1"
