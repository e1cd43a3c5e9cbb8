"""The gate's decision is carried out once; a refusal leaves the champion and is no failure."""

from types import SimpleNamespace

import pytest
from prefect import flow

from flows import promote as module
from flows.promote import promote
from stack.core.errors import StackError
from stack.registry.registry import Registry


def decision(passed: bool) -> SimpleNamespace:
    return SimpleNamespace(
        version="2",
        champion=None,
        passed=passed,
        reason="loss",
        reasons=[],
        leaks=(),
        suspicion="",
        numbers={},
        markdown=lambda: "# gate",
    )


@pytest.fixture(autouse=True)
def rooms(flights, fake, at_once, monkeypatch) -> None:
    monkeypatch.setattr(Registry, "challenger", lambda _: SimpleNamespace(version="2"))
    fake("stack.promotion.decisions.complete_pending", [])
    fake("stack.promotion.gate.run", decision(True))
    for name in ("promote", "refuse", "try_out"):
        fake(f"stack.promotion.decisions.{name}")
    fake("stack.core.alerts.notify")
    at_once(module.describe)  # the card of a version that no registry has cannot be written


def test_a_challenger_that_passes_is_promoted_after_what_was_interrupted(calls) -> None:
    assert promote("flights") is True
    assert calls == ["complete_pending", "run", "promote"]


def test_a_refusal_is_an_alert_and_an_entry_of_the_audit(calls, fake) -> None:
    fake("stack.promotion.gate.run", decision(False))
    assert promote("flights") is False
    assert calls == ["complete_pending", "run", "notify", "refuse"]


def test_without_a_challenger_nothing_is_judged(calls, monkeypatch) -> None:
    monkeypatch.setattr(Registry, "challenger", lambda _: None)
    assert promote("flights") is False
    assert calls == ["complete_pending"]


def test_a_gate_that_cannot_judge_is_not_tried_again(calls, fake, at_once) -> None:
    at_once(module.judge)
    fake("stack.promotion.gate.run", StackError("holdout", found="no rows", expected="some"))
    with pytest.raises(StackError):
        promote("flights")
    assert calls == ["complete_pending", "run"]


def test_what_looks_too_good_awaits_approval_in_a_run_of_its_own(calls, fake) -> None:
    suspect = decision(True)
    suspect.leaks, suspect.suspicion = ("sales",), "sales: it is the target in other units."
    fake("stack.promotion.gate.run", suspect)
    fake("flows.promote.run_deployment")

    @flow
    def training() -> bool:
        return promote("flights")

    assert training() is False
    assert calls == ["complete_pending", "run", "run_deployment"]
