"""Two versions beside each other: what they rest on, their calibration, what they were made of."""

import json

import httpx
import pytest

from services.portal import processes, version_pair
from services.portal.pages import versions
from services.portal.version_pair import SIZE
from stack.registry import artifacts
from stack.registry.registry import Version

ONE, OTHER = Version("flights", "1", "a"), Version("flights", "2", "b")


@pytest.fixture
def stored(monkeypatch):
    """The artifacts of runs, which a test may add to."""
    files = {
        ("1", "importance.csv"): "column,importance,deviation\ntemp,0.02,0\nwind,-0.001,0\n",
        ("2", "importance.csv"): "column,importance,deviation\nhumid,0.04,0\ntemp,0.01,0\n",
    }

    def file(_, version, path):
        if (version.version, path) not in files:
            raise httpx.ConnectError("no such file")
        return files[version.version, path].encode()

    monkeypatch.setattr(artifacts, "file", file)
    return files


def test_features_stand_by_the_weight_that_they_have_in_any_version(home, stored):
    rows = version_pair.importances(home, ONE, OTHER)
    assert [(row.feature, row.values, row.widths) for row in rows] == [
        ("humid", (None, 0.04), (0.0, 100.0)),
        ("temp", (0.02, 0.01), (50.0, 25.0)),
        ("wind", (-0.001, None), (0.0, 0.0)),
    ]
    stored.clear()
    assert version_pair.importances(home, ONE, OTHER) == []


def test_a_recipe_that_cannot_be_read_is_empty(home, stored):
    stored["1", "recipe/recipe.json"] = json.dumps({"rows": 5})
    assert version_pair.recipe(home, ONE) == {"rows": 5} and version_pair.recipe(home, OTHER) == {}


def test_calibrations_share_a_picture_in_which_good_answers_are_on_the_diagonal():
    drawn = version_pair.calibration({"1": [(0.0, 0.0, 5), (1.0, 1.0, 5)], "2": [(0.0, 0.5, 9)]})
    assert [point[0] + point[1] for point in drawn.curves[0].points] == [SIZE, SIZE]
    assert (drawn.low, drawn.high, drawn.curves[1].points) == (0.0, 1.0, [(10.0, SIZE / 2)])
    assert version_pair.calibration({"1": [], "2": []}) is None


def test_the_calibration_is_read_in_a_process_of_its_own_and_says_what_went_wrong(home, portal, monkeypatch):
    asked = []

    async def read(_, module, *words):
        asked.append((module, *words))
        if "9" in words:
            raise RuntimeError("no version <9>")
        return {"1": [[0.1, 0.2, 30]], "2": []}

    monkeypatch.setattr(processes, "read", read)
    client = portal(home)
    page = client.get("/projects/flights/versions/calibration?a=1&b=2").text
    assert "<polyline" in page and "<td>0.2</td>" in page
    assert "&lt;9&gt;" in client.get("/projects/flights/versions/calibration?a=9&b=--help").text
    assert asked == [(versions.RELIABILITY, "flights", "1", "2"), (versions.RELIABILITY, "flights", "9")]


def test_rows_are_compared():
    assert versions._grown("51618", "110767") == ("51,618", "110,767 (+59,149)")
    assert versions._grown("", "5") == ("", "5")
