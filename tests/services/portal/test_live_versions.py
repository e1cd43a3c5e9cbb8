"""The versions on the cards: MLflow is asked once for all projects, and says at once when it does not answer."""

from types import SimpleNamespace

import httpx
import pytest

from services.portal.live_versions import LiveVersions
from stack.registry import registry
from stack.registry.registry import Version


@pytest.fixture
def project(home):
    """Return a function that makes a project whose registry counts what it is asked."""

    def make(name):
        asked = []
        numbered = lambda number: (asked.append(number), Version(name, number, "run"))[1]  # noqa: E731
        return SimpleNamespace(name=name, settings=home, registry=SimpleNamespace(numbered=numbered), asked=asked)

    return make


def test_all_projects_share_one_question_and_a_version_is_read_once(project, monkeypatch):
    aliases, asked = {"a": {"champion": "3", "challenger": "3"}, "b": {"champion": "1"}}, []
    monkeypatch.setattr(registry, "aliases", lambda _: (asked.append(1), aliases)[1])
    live, a, b = LiveVersions(), project("a"), project("b")
    found = [live.aliased(*pair) for pair in ((a, "champion"), (a, "challenger"), (b, "champion"), (b, "canary"))]
    assert [version and version.version for version in found] == ["3", "3", "1", None]
    assert (len(asked), a.asked, b.asked) == (1, ["3"], ["1"])
    aliases["a"]["champion"] = "4"
    monkeypatch.setattr("services.portal.live_versions.SECONDS", 0.0)
    assert live.aliased(a, "champion").version == "4"


def test_an_mlflow_that_does_not_answer_is_asked_once_for_all_too(project, monkeypatch):
    asked = []

    def fail(_):
        asked.append(1)
        raise httpx.ConnectError("refused")

    monkeypatch.setattr(registry, "aliases", fail)
    live = LiveVersions()
    for name in "ab":
        with pytest.raises(httpx.ConnectError):
            live.aliased(project(name), "champion")
    assert len(asked) == 1
