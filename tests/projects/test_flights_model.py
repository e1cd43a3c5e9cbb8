"""The flights' own candidate obeys what everybody knows, as far as it says it does."""

import numpy as np
import pandas as pd

from projects.flights.model import CANDIDATES
from stack.kit.models import Columns

COLUMNS = Columns(("origin_late_2h", "visib", "dep_minute"), ("carrier_id",))
ROWS = 800


def test_the_bound_model_never_calls_a_worse_airport_more_punctual():
    random = np.random.default_rng(0)
    rows = pd.DataFrame({name: random.uniform(size=ROWS).astype("float32") for name in COLUMNS.numbers})
    rows["carrier_id"] = random.choice(["AA", "UA"], ROWS)
    late = (random.uniform(size=ROWS) < 0.3 + 0.2 * np.sin(9 * rows["origin_late_2h"])).astype(int)
    candidate = CANDIDATES["averaged_boosting"]
    params = candidate.initial_params | {"max_iter": 20, "min_samples_leaf": 20, "max_features": 1.0}

    pipeline = candidate.build(COLUMNS, 7, **params).fit(rows, late)
    rising = pd.concat([rows.iloc[:1]] * 50, ignore_index=True)
    rising["origin_late_2h"] = np.linspace(0, 1, 50, dtype="float32")
    free, bound = (model.predict_proba(pipeline[0].transform(rising))[:, 1] for model in pipeline[-1].estimators_)

    assert (np.diff(free) < 0).any()
    assert (np.diff(bound) >= 0).all()
    np.testing.assert_allclose(pipeline.predict_proba(rising)[:, 1], (free + bound) / 2)
