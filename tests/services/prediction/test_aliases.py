"""Moved aliases are noticed with one question for all projects, and without a question to the registry at each look."""

import httpx
import pytest

from services.prediction.aliases import AliasChanges
from stack.core.settings import Settings
from stack.promotion import decisions
from stack.registry import registry

PROJECTS = ["flights", "energy"]


class Answers:
    """What the audit and the registry say, and how often the registry was asked."""

    def __init__(self) -> None:
        self.progress = {"flights": (1, 0)}
        self.aliases = {"flights": {"champion": "1"}}
        self.asked = 0
        self.silent = False

    def of_registry(self, _: Settings) -> dict[str, dict[str, str]]:
        self.asked += 1
        if self.silent:
            raise httpx.ConnectError("refused")
        return self.aliases


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    said = Answers()
    monkeypatch.setattr(decisions, "progress", lambda _: said.progress)
    monkeypatch.setattr(registry, "aliases", said.of_registry)
    return said


@pytest.fixture
def changes(answers: Answers, tmp_path) -> AliasChanges:
    """Of a service that has looked twice: nothing has changed."""
    looked = AliasChanges(Settings(home=tmp_path))
    assert list(looked.of(PROJECTS)) == PROJECTS and not looked.of(PROJECTS)
    assert answers.asked == 1
    return looked


def test_a_decision_is_noticed_without_the_registry(changes, answers):
    answers.progress = {"flights": (2, 1)}
    assert changes.of(PROJECTS) == ["flights"]
    answers.progress = {"flights": (2, 0)}
    assert changes.of(PROJECTS) == ["flights"], "what was intended is carried out"
    assert not changes.of(PROJECTS) and answers.asked == 1


def test_an_alias_moved_by_hand_is_noticed_when_the_registry_is_asked_again(changes, answers):
    answers.aliases = {"flights": {"champion": "1"}, "energy": {"champion": "3"}}
    assert not changes.of(PROJECTS)
    changes.seconds = 0.0
    assert changes.of(PROJECTS) == ["energy"]


def test_while_something_does_not_answer_every_project_asks_for_itself(changes, answers):
    changes.seconds = 0.0
    answers.silent = True
    assert list(changes.of(PROJECTS)) == list(changes.of(PROJECTS)) == PROJECTS
    answers.silent = False
    assert not changes.of(PROJECTS)


def test_a_new_project_is_looked_at(changes):
    assert changes.of([*PROJECTS, "churn"]) == ["churn"]
