"""A decision is in the audit exactly once, wherever its process is killed, and the audit knows what was live when."""

import os
import signal
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from stack.core.errors import StackError
from stack.project import Project
from stack.promotion import decisions, rollout
from stack.promotion.decisions import DecisionTime, Judgement
from stack.registry.registry import Registry
from tests.forked import forked
from tests.stack.conftest import aliases

DAY = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def train(client, town):
    """Register versions; the newest is challenger."""
    experiment = client.create_experiment(town.name)
    client.create_registered_model(town.name)

    def make():
        run = client.create_run(experiment).info
        version = client.create_model_version(town.name, f"{run.artifact_uri}/served", run.run_id)
        client.set_registered_model_alias(town.name, "challenger", version.version)
        return str(version.version)

    return make


def on(day):
    return DecisionTime(DAY + timedelta(days=day), DAY + timedelta(days=400))


def judged(version, champion, reason="better"):
    return Judgement(version, champion, reason, {"log_loss": 0.48, "auc": float("nan")})


def audit(settings, spec):
    entries = decisions.entries(Project(settings, spec))
    return [(entry.kind, entry.version, entry.champion, entry.state) for entry in entries]


def test_what_was_live_when_and_why(tracked, town, train):
    first = train()
    decisions.promote(Project(tracked, town), judged(first, None, "the first"), on(0))
    second = train()
    decisions.refuse(Project(tracked, town), judged(second, first, "auc too low"), on(7))
    third = train()
    decisions.promote(Project(tracked, town), judged(third, first), on(14))
    decisions.rollback(Project(tracked, town), on(15), "complaints")
    assert audit(tracked, town) == [
        ("promote", first, None, "done"),
        ("refuse", second, first, "done"),
        ("promote", third, first, "done"),
        ("rollback", first, third, "done"),
    ]
    result = [(span.version, span.since, span.until, span.reason) for span in decisions.live(Project(tracked, town))]
    assert result == [
        (first, on(0).at, on(14).at, "the first"),
        (third, on(14).at, on(15).at, "better"),
        (first, on(15).at, None, "complaints"),
    ]
    kept = decisions.entries(Project(tracked, town))[1]
    assert (kept.at, kept.decided_at, kept.reason) == (on(7).at, on(7).wall, "auc too low")
    assert kept.numbers == {"log_loss": 0.48, "auc": None}


def test_the_same_decision_again_is_the_same_decision(tracked, town, train):
    first, second = train(), train()
    for _ in range(2):
        decisions.promote(Project(tracked, town), judged(first, None), on(0))
    for day in (1, 2):
        decisions.refuse(Project(tracked, town), judged(second, first), on(day))
    assert [entry.number for entry in decisions.entries(Project(tracked, town))] == [1, 2]
    assert aliases(tracked, town) == (first, second, None)


def test_a_rollback_does_not_swing_back(tracked, town, train):
    first, second = train(), train()
    decisions.promote(Project(tracked, town), judged(first, None), on(0))
    with pytest.raises(StackError, match=f"no version before champion version {first}"):
        decisions.rollback(Project(tracked, town), on(1), "")
    decisions.promote(Project(tracked, town), judged(second, first), on(2))
    assert decisions.rollback(Project(tracked, town), on(3), "").version == first
    assert aliases(tracked, town) == (first, None, None)
    with pytest.raises(StackError, match=f"it came by the rollback from version {second} at 2025-02-04 00:00 UTC"):
        decisions.rollback(Project(tracked, town), on(4), "")
    assert aliases(tracked, town) == (first, None, None)
    third = train()
    decisions.promote(Project(tracked, town), judged(third, first), on(5))
    assert aliases(tracked, town) == (third, None, first)


def test_progress_changes_with_every_step_of_a_decision(tracked, town, train):
    project, first = Project(tracked, town), train()
    assert town.name not in decisions.progress(tracked)
    entry = decisions.record(project, "promote", judged(first, None), on(0), "intended")
    assert decisions.progress(tracked)[town.name] == (1, 1)
    decisions.carry_out(project, entry)
    assert decisions.progress(tracked)[town.name] == (1, 0)
    decisions.refuse(project, judged(train(), first), on(1))
    assert decisions.progress(tracked)[town.name] == (2, 0)


def test_a_version_judged_against_another_champion_stays_out(tracked, town, train):
    first, second, third = train(), train(), train()
    decisions.promote(Project(tracked, town), judged(first, None), on(0))
    decisions.promote(Project(tracked, town), judged(second, first), on(1))
    with pytest.raises(StackError, match=f"make promote PROJECT={town.name}"):
        decisions.promote(Project(tracked, town), judged(third, first), on(1))
    assert aliases(tracked, town) == (second, third, first)
    assert len(decisions.entries(Project(tracked, town))) == 2


def test_a_champion_made_by_hand_stays_and_is_seen(tracked, town, train, client):
    first, second, third = train(), train(), train()
    decisions.promote(Project(tracked, town), judged(first, None), on(0))
    client.set_registered_model_alias(town.name, "champion", second)
    decisions.promote(Project(tracked, town), judged(third, second), on(3))
    assert [(span.version, span.since, span.until) for span in decisions.live(Project(tracked, town))] == [
        (first, on(0).at, on(3).at),
        (second, None, on(3).at),
        (third, on(3).at, None),
    ]


def test_a_canary_is_promoted_or_withdrawn_and_the_next_one_takes_its_place(tracked, town, train):
    first, second = train(), train()
    decisions.promote(Project(tracked, town), judged(first, None), on(0))
    for _ in range(2):
        decisions.try_out(Project(tracked, town), judged(second, first), on(1))
    assert aliases(tracked, town) == (first, None, None) and Project(tracked, town).registry.canary().version == second
    third = train()
    decisions.try_out(Project(tracked, town), judged(third, first), on(2))
    assert Project(tracked, town).registry.canary().version == third
    assert decisions.withdraw(Project(tracked, town), judged(second, first), on(3)) is None, "it is canary no longer"
    decisions.promote(Project(tracked, town), judged(third, first), on(4))
    assert aliases(tracked, town) == (third, None, first) and Project(tracked, town).registry.canary() is None
    fourth = train()
    decisions.try_out(Project(tracked, town), judged(fourth, third), on(5))
    decisions.withdraw(Project(tracked, town), judged(fourth, third, "it fails"), on(6))
    assert aliases(tracked, town) == (third, None, first) and Project(tracked, town).registry.canary() is None
    assert audit(tracked, town) == [
        ("promote", first, None, "done"),
        ("canary", second, first, "done"),
        ("withdraw", second, first, "done"),
        ("canary", third, first, "done"),
        ("promote", third, first, "done"),
        ("canary", fourth, third, "done"),
        ("withdraw", fourth, third, "done"),
    ]
    assert [span.version for span in decisions.live(Project(tracked, town))] == [first, third]


def decide_and_die(project, kind, version, champion, *, step, call=0):
    """Take a decision in a process that dies after the given call of a step."""
    owner = decisions if hasattr(decisions, step) else Registry
    function, calls = getattr(owner, step), count()

    def then_die(*arguments):
        answer = function(*arguments)
        if next(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    def work():
        setattr(owner, step, then_die)
        if kind == "rollback":
            decisions.rollback(project, on(1), "")
        else:
            getattr(decisions, kind)(project, judged(version, champion), on(1))

    assert forked(work) == -signal.SIGKILL


@pytest.mark.parametrize(("kind", "step"), [(k, s) for k in ("try_out", "withdraw") for s in ("record", "drop_alias")])
def test_a_killed_change_of_the_canary_is_completed(tracked, town, train, kind, step):
    first, second = train(), train()
    decisions.promote(Project(tracked, town), judged(first, None), on(0))
    if kind == "withdraw":
        decisions.try_out(Project(tracked, town), judged(second, first), on(0))
    decide_and_die(Project(tracked, town), kind, second, first, step=step)
    decisions.complete_pending(Project(tracked, town))
    assert audit(tracked, town)[-1] == ("canary" if kind == "try_out" else "withdraw", second, first, "done")
    canary = Project(tracked, town).registry.canary()
    assert (canary and canary.version) == (second if kind == "try_out" else None)
    assert Project(tracked, town).registry.champion().version == first


@pytest.mark.parametrize(
    ("kind", "step", "call"),
    [
        ("promote", "record", 0),
        ("promote", "point_alias", 0),
        ("promote", "point_alias", 1),
        ("promote", "drop_alias", 0),
        ("promote", "carry_out", 0),
        ("rollback", "record", 0),
        ("rollback", "point_alias", 0),
        ("rollback", "drop_alias", 0),
        ("rollback", "carry_out", 0),
    ],
)
def test_killed_after_any_step_the_next_one_completes_it(tracked, town, train, kind, step, call):
    first, second = train(), train()
    decisions.promote(Project(tracked, town), judged(first, None), on(0))
    if kind == "rollback":
        decisions.promote(Project(tracked, town), judged(second, first), on(0))
    decide_and_die(Project(tracked, town), kind, second, first, step=step, call=call)
    assert Project(tracked, town).registry.champion().version in (first, second)

    decisions.complete_pending(Project(tracked, town))
    decisions.complete_pending(Project(tracked, town))
    wanted = ("promote", second, first, "done") if kind == "promote" else ("rollback", first, second, "done")
    assert audit(tracked, town)[-1] == wanted
    assert len(audit(tracked, town)) == (2 if kind == "promote" else 3)
    assert aliases(tracked, town) == ((second, None, first) if kind == "promote" else (first, None, None))


def test_a_canary_whose_share_was_removed_is_withdrawn_at_the_review_and_not_promoted(tracked, town, train):
    project = Project(tracked, town)
    first = train()
    decisions.promote(project, judged(first, None), on(0))
    second = train()
    decisions.try_out(project, judged(second, first), on(1))
    entry = rollout.review(project, on(9))
    assert (entry.kind, entry.version) == ("withdraw", second)
    assert project.registry.canary() is None and project.registry.champion().version == first
