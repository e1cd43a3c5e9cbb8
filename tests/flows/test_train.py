"""A model is trained once for the same data, cut-off and code, and each ends at the gate."""

from types import SimpleNamespace

import pytest
from pandas import DataFrame

from flows import promote as gate
from flows import train as module
from flows.train import train
from stack.project import Project
from tests.flows.conftest import NOW

TRAINED = SimpleNamespace(version="7")


@pytest.fixture(autouse=True)
def rooms(flights, fake) -> None:
    fake("stack.lake.lake.Lake.revision", "3f2a")
    fake("stack.promotion.challengers.find_existing", None)
    fake("stack.features.datasets.labelled", DataFrame({"x": [1]}))
    fake("stack.ops.runs.Runs.online", False)
    fake("stack.promotion.challengers.train", TRAINED)
    fake("flows.train.run_gate")


def steps(calls: list[str]) -> list[str]:
    return [call for call in calls if call != "revision"]


def test_a_training_set_is_searched_here_and_judged(calls) -> None:
    assert train("flights", NOW) == "7"
    assert steps(calls) == ["find_existing", "labelled", "online", "train", "run_gate"]


def test_the_version_of_a_killed_run_is_judged_and_not_trained_again(calls, fake) -> None:
    fake("stack.promotion.challengers.find_existing", TRAINED)
    assert train("flights", NOW) == "7"
    assert steps(calls) == ["find_existing", "run_gate"]


def test_a_machine_that_has_joined_trains_and_this_one_where_it_registered_nothing(calls, fake) -> None:
    fake("stack.ops.runs.Runs.online", True)
    fake("flows.fit.send")
    assert train("flights", NOW) == "7"
    assert steps(calls) == ["find_existing", "labelled", "online", "send", "find_existing", "train", "run_gate"]

    fake("stack.promotion.challengers.find_existing", None, SimpleNamespace(version="8"))
    calls.clear()
    assert train("flights", NOW) == "8"
    assert steps(calls) == ["find_existing", "labelled", "online", "send", "find_existing", "run_gate"]


def test_a_search_that_fails_for_a_moment_is_tried_again(calls, fake, at_once) -> None:
    at_once(module.search)
    fake("stack.promotion.challengers.train", OSError("MLflow restarts"), TRAINED)
    assert train("flights", NOW) == "7"
    assert calls.count("train") == 2


@pytest.mark.parametrize(("approval", "call"), [("auto", "promote"), ("manual", "run_deployment")])
def test_a_promotion_that_awaits_approval_is_a_run_of_its_own(flights, calls, fake, approval, call) -> None:
    spec = flights.spec.model_copy(update={"gate": flights.spec.gate.model_copy(update={"approval": approval})})
    fake("flows.promote.promote")
    fake("flows.promote.run_deployment")
    gate.run_gate(Project(flights.settings, spec))
    assert calls == [call]
