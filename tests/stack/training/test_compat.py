"""What training reaches into its tools for is still as it was: a failure here names what has changed."""

import os
from importlib.metadata import version
from pathlib import Path

import mlflow
import numpy as np
import pytest
import skops.io
from lightgbm import LGBMClassifier, LGBMRegressor
from mlflow.artifacts import download_artifacts
from mlflow.utils import environment, requirements_utils
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.ensemble._hist_gradient_boosting import binning
from xgboost import XGBClassifier, XGBRegressor

from stack.core.settings import Settings
from stack.training import _compat
from stack.training.export import OPSET


def changed(tool: str) -> str:
    return f"{tool} {version(tool)} has changed, see stack/training/_compat.py: "


@pytest.mark.parametrize("before", [None, "http://127.0.0.1:1"])
def test_the_address_of_mlflow_is_put_back(monkeypatch: pytest.MonkeyPatch, before: str | None) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if before:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", before)
    with _compat.tracking_at("http://127.0.0.1:2"):
        assert mlflow.get_tracking_uri() == "http://127.0.0.1:2"
    assert os.environ.get("MLFLOW_TRACKING_URI") == before, f"{changed('mlflow')}set_tracking_uri(None)"


def test_requirements_are_not_compared_with_the_installed_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []
    monkeypatch.setattr(requirements_utils, "_check_requirement_satisfied", compared.append)
    with _compat.unchecked_requirements():
        environment._process_pip_requirements([], ["numpy==1.0"])
    assert not compared, f"{changed('mlflow')}warn_dependency_requirement_mismatches"
    environment._process_pip_requirements([], ["numpy==1.0"])
    assert "numpy==1.0" in compared, "it is put back"


def test_a_file_of_no_run_is_uploaded_and_deleted(tracked: Settings, tmp_path: Path) -> None:
    (tmp_path / "rows.txt").write_text("rows")
    uri = "mlflow-artifacts:/compat"
    repository = _compat.artifact_repository(uri, tracked.mlflow_url)
    repository.log_artifact(str(tmp_path / "rows.txt"))
    there = download_artifacts(f"{uri}/rows.txt", dst_path=str(tmp_path / "back"), tracking_uri=tracked.mlflow_url)
    assert Path(there).read_text() == "rows", f"{changed('mlflow')}uploads below mlflow-artifacts:"
    repository.delete_artifacts("rows.txt")
    assert not repository.list_artifacts(), f"{changed('mlflow')}delete_artifacts"


def boosted(kind: type) -> HistGradientBoostingClassifier | HistGradientBoostingRegressor:
    rows = np.random.default_rng(0).normal(size=(300, 2))
    rows[::7] = np.nan
    return kind(max_iter=3).fit(rows, np.nan_to_num(rows[:, 0]) > 0)


def test_thresholds_of_boosted_trees_are_rounded_down() -> None:
    model, exact = (boosted(HistGradientBoostingClassifier) for _ in range(2))
    _compat.round_thresholds(model)
    pairs = [
        (tree.nodes["num_threshold"], other.nodes["num_threshold"])
        for trees, others in zip(model._predictors, exact._predictors, strict=True)
        for tree, other in zip(trees, others, strict=True)
    ]
    assert pairs, f"{changed('scikit-learn')}_predictors"
    for rounded, original in pairs:
        assert (rounded == rounded.astype(np.float32)).all(), f"{changed('scikit-learn')}num_threshold"
        assert (rounded <= original).all()
    assert any((rounded < original).any() for rounded, original in pairs), f"{changed('scikit-learn')}thresholds"


@pytest.mark.parametrize("kind", [HistGradientBoostingClassifier, HistGradientBoostingRegressor])
def test_boosted_trees_are_converted_with_integer_flags(kind: type) -> None:
    options = {"custom_conversion_functions": _compat.boosting_converters(), "target_opset": 18}
    model = convert_sklearn(boosted(kind), initial_types=[("x", FloatTensorType([None, 2]))], **options)
    names = {attribute.name for node in model.graph.node for attribute in node.attribute}
    assert "nodes_missing_value_tracks_true" in names, f"{changed('skl2onnx')}the attributes of a tree ensemble"


def test_the_converters_are_still_needed() -> None:
    """Without ours, skl2onnx fails on the flags; where it does not any more, they can go."""
    with pytest.raises(Exception, match="bool|tracks_true|int"):
        convert_sklearn(
            boosted(HistGradientBoostingClassifier),
            initial_types=[("x", FloatTensorType([None, 2]))],
            target_opset=18,
        )
        pytest.fail(f"{changed('skl2onnx')}it converts boosted trees with missing values by itself")


def test_a_threshold_of_lightgbm_is_rounded_down_and_the_hook_is_still_needed() -> None:
    below = np.float32(1)
    above = np.nextafter(below, np.float32(2))
    rows = np.resize([below, above, np.float32(3)], 300).reshape(-1, 1)
    model = LGBMClassifier(n_estimators=1, n_jobs=1, verbosity=-1).fit(rows, rows[:, 0] == below)
    _compat.register_converter(model)
    converted = convert_sklearn(
        model, initial_types=[("x", FloatTensorType([None, 1]))], target_opset=OPSET, options={"zipmap": False}
    )
    values = [
        value
        for node in converted.graph.node
        for part in node.attribute
        if part.name == "nodes_values"
        for value in part.floats
    ]
    assert below in values, f"{changed('onnxmltools')}the attributes of a tree ensemble"


@pytest.mark.parametrize("kind", [LGBMClassifier, LGBMRegressor, XGBClassifier, XGBRegressor])
def test_the_trusted_types_are_those_of_the_boosters(kind: type) -> None:
    rows = np.random.default_rng(0).normal(size=(100, 2))
    model = kind(n_estimators=2, n_jobs=1).fit(rows, (rows[:, 0] > 0).astype(int))
    wanted = set(skops.io.get_untrusted_types(data=skops.io.dumps(model)))
    assert wanted <= set(_compat.trusted_types(model)), changed("skops")


@pytest.mark.parametrize("distinct", [200, 3000])
def test_weighted_rows_are_binned_as_by_scikit_learn(monkeypatch: pytest.MonkeyPatch, distinct: int) -> None:
    random = np.random.default_rng(1)
    column, weight = random.integers(0, distinct, 4000) / 7.0, random.uniform(0, 2, 4000)
    column[::9], weight[::11] = np.nan, 0
    monkeypatch.setattr(binning, "_find_binning_thresholds", _compat._find_binning_thresholds)
    rows = np.column_stack([column, -column])
    plain = binning._BinMapper(random_state=1).fit(rows, sample_weight=weight).bin_thresholds_
    _compat.hasten_weighted_binning()
    monkeypatch.setattr(binning, "_weighted_percentile", None)  # asked once for each bin
    hastened = binning._BinMapper(random_state=1).fit(rows, sample_weight=weight).bin_thresholds_
    assert all(map(np.array_equal, hastened, plain)), f"{changed('scikit-learn')}binning"
