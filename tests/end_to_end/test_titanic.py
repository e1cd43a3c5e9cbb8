"""A project without time, views or entities on a running stack: from its file to answers, and the file read again."""

import httpx
import pytest

from monitoring import pages
from stack.core.settings import Settings
from stack.lake import lake
from stack.project import Project
from stack.specification import specs
from tests.forks import Forks
from tests.polling import PATIENCE_SECONDS

pytestmark = pytest.mark.services


def run(forks: Forks, *command: str) -> str:
    """Run a command of the stack until it succeeds; return its output."""
    ended = forks.module("stack", *command)
    assert ended.exit_code == 0, ended.output + ended.errors
    return ended.output


def test_a_file_without_time_goes_the_whole_way(running: Settings, forks: Forks) -> None:
    titanic = specs.load("titanic")
    output = run(forks, "run", "titanic")
    assert "version 1 is champion" in output
    assert '"model_version":"1"' in output
    champion = Project(running, titanic).registry.require_champion()
    assert float(champion.tag("auc")) == pytest.approx(0.82, abs=0.04)
    assert list(pages.folder(running, "titanic").glob("*.html"))

    classic = {"pclass": 3, "sex": "male", "age": 22, "fare": 7.25}
    body = {"rows": [classic, classic | {"sex": "female", "pclass": 1}, {"sex": "female"}]}
    answer = httpx.post(f"{running.prediction_url}/titanic/predict", json=body, timeout=PATIENCE_SECONDS)
    assert answer.status_code == 200, answer.text
    assert [row["decision"] for row in answer.json()] == [False, True, True]

    version = lake.newest_revision(running)
    assert "nothing new" in run(forks, "ingest", "titanic")
    assert lake.newest_revision(running) == version
    assert "0 of 4 predictions were made with other features" in run(forks, "skew", "titanic")
