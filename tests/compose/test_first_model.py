"""The first model is the same in both runtimes: data version, metrics, and the answers to a thousand requests."""

import pytest

from stack.ops.compose import docker
from tests.compose.conftest import TRACKED, Containers, First, first_model

pytestmark = pytest.mark.services


def test_the_first_model_is_the_same(both: tuple[Containers, First]) -> None:
    containers, ours = both
    theirs = first_model(containers.settings, docker.inside(containers.settings, "cat", f"/var/lib/stack/{TRACKED}"))

    assert ours.data == theirs.data
    assert len(ours.metrics) > 5 and len(ours.answers) == 1000
    assert ours.metrics == pytest.approx(theirs.metrics, abs=1e-6, rel=0)
    assert ours.answers == pytest.approx(theirs.answers, abs=1e-6, rel=0)
