"""A damaged copy of a model is fetched anew, another version answers where it cannot be, and /readyz says so."""

import asyncio
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.prediction import model_cache
from stack.ops import health
from stack.project import Project
from stack.registry import artifacts
from tests.polling import eventually
from tests.services.conftest import post
from tests.services.prediction.conftest import ROW, another, crown, readiness

pytestmark = pytest.mark.services


@pytest.fixture
def copy(home, spec, champion) -> Path:
    """The champion's copy on disk."""
    return model_cache.path(Project(home, spec), Project(home, spec).registry.champion())


def cut_off(model: Path) -> bytes:
    whole = model.read_bytes()
    os.truncate(model, 500)
    return whole


def flip(model: Path) -> bytes:
    """Change a bit that the loader does not notice."""
    whole = model.read_bytes()
    model.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    return whole


@pytest.mark.parametrize("damage", [cut_off, flip, lambda model: (model.read_bytes(), model.unlink())[0]])
def test_a_damaged_copy_heals_while_the_service_runs(home, url, champion, copy, damage):
    whole = damage(copy / "model.onnx")
    eventually(lambda: (copy / "model.onnx").exists() and (copy / "model.onnx").read_bytes() == whole)
    assert post(url, {"rows": [ROW]}).json()[0]["model_version"] == champion


@pytest.mark.parametrize(("damage", "hashes"), [(cut_off, True), (flip, True), (cut_off, False)])
def test_a_damaged_copy_heals_after_a_kill(home, url, champion, copy, prediction, damage, hashes):
    prediction.stop(signal.SIGKILL)
    whole = damage(copy / "model.onnx")
    if not hashes:  # as in a copy of a former release
        (copy / model_cache.HASHES).unlink()
    prediction.start()

    eventually(lambda: readiness(home)["champion"] == champion)
    assert post(url, {"rows": [ROW]}).status_code == 200
    assert readiness(home)["problem"] == "" and (copy / "model.onnx").read_bytes() == whole


@pytest.fixture
def damaged_artifact(home, copy) -> Iterator[None]:
    """The artifact of the champion's run is damaged, its copy is whole."""
    (artifact,) = Path(home.artifacts).glob(f"*/{copy.name.partition('-')[2]}/artifacts/served/model.onnx")
    whole = cut_off(artifact)
    yield
    artifact.write_bytes(whole)


def test_the_other_version_answers_while_the_artifact_is_damaged(
    home, spec, url, champion, prediction, copy, damaged_artifact
):
    second = another(home, spec, champion)
    Project(home, spec).registry.set_champion(second)

    problem = eventually(lambda: readiness(home)["problem"])
    assert problem.startswith(f"registry says {second}, {champion} answers: ") and "InvalidProtobuf" in problem
    assert post(url, {"rows": [ROW]}).json()[0]["model_version"] == champion
    listed = {found.title: found.text for found in asyncio.run(health.of_this_moment(home, datetime.now(UTC)))}
    assert listed["flights: predictions"] == problem
    prediction.stop(signal.SIGKILL)
    prediction.start()
    assert eventually(lambda: readiness(home)["problem"]) == problem
    assert post(url, {"rows": [ROW]}).json()[0]["model_version"] == champion

    repair(home, copy)
    eventually(lambda: readiness(home)["champion"] == second)
    assert readiness(home)["problem"] == ""
    crown(home, spec, champion)


def repair(home, copy) -> None:
    """Write the artifact anew from its copy."""
    (artifact,) = Path(home.artifacts).glob(f"*/{copy.name.partition('-')[2]}/artifacts/served/model.onnx")
    artifact.write_bytes((copy / "model.onnx").read_bytes())


def test_a_registered_artifact_is_compared_with_its_hashes(home, spec, version, champion, damaged_artifact, tmp_path):
    registered = Project(home, spec).registry.numbered(version)
    assert set(registered.tags) >= {artifacts.HASHES}
    with pytest.raises(Exception, match=r"artifact served/model.onnx:\n  found     a damaged file"):
        artifacts.fetch(home, registered, tmp_path / "served")
    assert list(tmp_path.iterdir()) == []
