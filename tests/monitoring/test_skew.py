"""Which logged features count as other than the offline store's."""

import numpy as np
import pandas as pd

from monitoring.skew import Skew, compare
from tests.stack.conftest import toy  # noqa: F401  # a fixture


def frames(toy):
    features = {"wet": [0.1, np.nan, 3.0], "town_id": ["Bath", "Cork", "Oban"], "cold": [1.0, 2.0, np.nan]}
    offline = pd.DataFrame(features).astype({"wet": "float32", "cold": "float32"})
    instants = pd.date_range("2024-01-01", periods=3, tz="UTC")
    # The log holds numbers as JSON does, and a missing one as null.
    served = pd.DataFrame({"id": list("abc"), "event_timestamp": instants} | features)
    return served.astype({"wet": "Float32", "cold": "Float32"}), offline


def test_equal_features_do_not_differ_though_their_types_do(toy):
    served, offline = frames(toy)
    assert compare(toy, served, offline) == Skew(rows=3, differing=0)


def test_a_row_counts_once_however_many_of_its_cells_differ(toy):
    served, offline = frames(toy)
    skew = compare(toy, served, offline.assign(cold=np.float32(9), town_id=["Bath", "Bath", "Oban"]))
    assert (skew.rows, skew.differing) == (3, 3)
    assert "a asked at 2024-01-01 00:00:00+00:00, cold: served 1.0, offline 9.0" in skew.examples
    assert any("town_id: served Cork, offline Bath" in example for example in skew.examples)


def test_the_next_float_and_a_lost_value_differ(toy):
    served, offline = frames(toy)
    near = offline.assign(wet=np.array([np.nextafter(np.float32(0.1), 1, dtype="float32"), np.nan, np.nan], "float32"))
    skew = compare(toy, served, near)
    assert skew.differing == 2
    assert (skew + skew).differing == 4


def test_a_text_differs_by_any_sign(toy):
    served, offline = frames(toy)
    columns = {"town_id": "text"}
    text = toy.model_copy(update={"features": toy.features.model_copy(update={"columns": columns})})
    assert compare(text, served, offline).differing == 0
    assert compare(text, served, offline.assign(town_id=["Bath", "Cork", "oban"])).differing == 1


def test_no_prediction_is_no_skew(toy):
    served, offline = frames(toy)
    assert compare(toy, served.head(0), offline.head(0)) == Skew()
