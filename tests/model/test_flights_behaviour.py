"""What anybody who has waited at an airport expects of the model, and of its served form."""

import numpy as np
import pytest

from stack.training import candidates
from stack.training.export import export


@pytest.fixture(scope="module")
def served(spec, first_model, between, tmp_path_factory):
    model = export(first_model, spec, tmp_path_factory.mktemp("model") / "served", between("2013-02-01", "2013-02-04"))
    assert model.form == "onnx"
    return model


@pytest.fixture(scope="module")
def march(between):
    return between("2013-03-01", "2013-04-01")


@pytest.mark.parametrize("name", ["averaged_boosting", "linear", "dummy"])
def test_the_served_form_is_the_trained_form(spec, fit, between, march, tmp_path, name):
    """On every row of March, and again with a carrier and an airport that are unknown and half the numbers gone."""
    pipeline = fit(between("2013-01-15", "2013-02-15"), name)
    model = export(pipeline, spec, tmp_path / "served", march.head(500))
    strange = march.assign(carrier_id="ZZ", dest_id="XXX")
    strange.loc[strange.index % 2 == 0, spec.column_types("number")] = np.nan
    for rows in (march, strange):
        wanted = pipeline.predict_proba(candidates.frame(spec, rows))[:, 1:]
        assert np.abs(model.predict(rows) - wanted).max() <= 1e-5


def test_delays_of_the_last_hours_raise_the_risk(spec, served, march):
    """Directional: the same flights, the hours before them as bad as on the worst days, or as good as on the best."""
    recent = [column for column in spec.features.columns if column.endswith(("_2h", "_6h"))]
    bad, good = (
        march.assign(**{column: np.float32(march[column].quantile(share)) for column in recent})
        for share in (0.95, 0.1)
    )
    rise = served.predict(bad) - served.predict(good)
    assert rise.mean() > 0.15
    assert (rise > 0).mean() > 0.97


def test_evening_flights_are_riskier_than_morning_flights(served, march):
    morning, evening = (march.assign(dep_minute=np.float32(hour * 60)) for hour in (7, 19))
    assert served.predict(evening).mean() > served.predict(morning).mean() + 0.05


def test_an_unknown_carrier_is_an_ordinary_carrier(served, march):
    """Invariance: a new code is answered, and moves the mean little."""
    known, unknown = served.predict(march), served.predict(march.assign(carrier_id="ZZ"))
    assert np.isfinite(unknown).all()
    assert abs(unknown.mean() - known.mean()) < 0.05


def test_without_any_feature_the_answer_is_no_extreme(spec, served, march):
    """Minimum functionality: a feature store that has nothing must not make anybody certain."""
    nothing = march.head(200).assign(**dict.fromkeys(spec.column_types("number"), np.float32("nan")))
    assert ((served.predict(nothing) > 0.05) & (served.predict(nothing) < 0.8)).all()


def test_probabilities_mean_what_they_say(served, march):
    """Calibration: among flights called a 20-40 % risk, 20-40 % are late."""
    probability = served.predict(march)[:, 0]
    for low, high in ((0.1, 0.2), (0.2, 0.4), (0.4, 0.6)):
        inside = march[(probability > low) & (probability <= high)]
        assert low - 0.04 < inside["late"].mean() < high + 0.06
