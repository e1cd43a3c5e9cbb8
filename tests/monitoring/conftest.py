from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from stack.core.settings import Settings
from stack.specification.specs import ProjectSpec

AT = datetime(2013, 3, 15, tzinfo=UTC)


@pytest.fixture
def home(tmp_path) -> Settings:
    return Settings(home=tmp_path, keep_days=30)


@pytest.fixture
def spec() -> ProjectSpec:
    return ProjectSpec.model_validate(
        {
            "name": "tiny",
            "title": "Is it late?",
            "label": "late",
            "clock": {"kind": "replay", "start": "2013-01-01T00:00:00Z"},
            "tables": {"rows": {"key": ["id"]}},
            "request": {"origin": {"type": "string", "description": "Airport", "example": "EWR"}},
            "features": {
                "service": "tiny_v1",
                "entities": ["origin"],
                "columns": {"calm": "number", "moved": "number", "origin_id": "category"},
            },
            "monitoring": {"min_rows": 200, "min_labelled": 300, "max_drift_share": 0.3, "max_bias": 0.04},
        }
    )


@pytest.fixture
def frame() -> Callable[..., pd.DataFrame]:
    """Make rows of the two weeks before `AT` with sound probabilities; `bias` is added to what they say."""

    def make(rows: int = 600, shift: float = 0.0, bias: float = 0.0, seed: int = 0) -> pd.DataFrame:
        random = np.random.default_rng(seed)
        truth = random.uniform(0.1, 0.5, rows)
        rows_of_two_weeks = pd.DataFrame(
            {
                "calm": random.normal(size=rows).astype("float32"),
                "moved": random.normal(shift, 1, rows).astype("float32"),
                "origin_id": random.choice(["EWR", "JFK", "LGA"], rows),
                "probability": truth + bias,
                "late": (random.uniform(size=rows) < truth).astype(int),
            }
        )
        rows_of_two_weeks["event_timestamp"] = pd.date_range(AT - timedelta(days=14), AT, rows, unit="us")
        return rows_of_two_weeks

    return make
