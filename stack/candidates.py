"""The candidates of a training: scikit-learn pipelines over the feature columns, and the space that is searched.

A pipeline takes a frame as :func:`frame` makes it: number columns (float32) first, then category columns (strings).
In that order the served form takes two tensors instead of one a column, which halves its time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from pandas import DataFrame
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from stack.project import ProjectSpec
from stack.served import categories

if TYPE_CHECKING:
    from optuna import Trial

CENTRES: dict[str, dict[str, Any]] = {
    "gradient_boosting": {
        "max_iter": 150,
        "max_leaf_nodes": 15,
        "learning_rate": 0.06,
        "min_samples_leaf": 200,
        "l2_regularization": 1.0,
        "max_features": 0.25,
    },
    "logistic_regression": {"C": 0.1},
    "dummy": {},
}
"""Where the search of each candidate begins."""


def frame(spec: ProjectSpec, rows: DataFrame) -> DataFrame:
    """The model's input from rows that hold the feature columns: numbers, then categories, nothing else."""
    numbers, strings = spec.column_types("number"), spec.column_types("category")
    made = rows[numbers].astype(np.float32)
    codes = categories({name: rows[name] for name in strings}, strings, len(rows))
    return made.assign(**dict(zip(strings, codes.T, strict=True)))


def searched(spec: ProjectSpec) -> list[str]:
    """Candidates that have hyper-parameters, in the order their centres are tried."""
    return [name for name, centre in CENTRES.items() if centre and name in spec.training.candidates]


def suggest(trial: Trial, spec: ProjectSpec) -> tuple[str, dict[str, Any]]:
    """Draw a candidate and its parameters."""
    name = trial.suggest_categorical("candidate", searched(spec))
    return name, SPACES[name](trial)


def centre(name: str) -> dict[str, Any]:
    """The centre of a candidate, as the values that a trial would draw."""
    return {"candidate": name} | {f"{name}.{key}": value for key, value in CENTRES[name].items()}


def build(name: str, params: dict[str, Any], spec: ProjectSpec, seed: int) -> Pipeline:
    """Make the unfitted pipeline of a candidate."""
    return BUILDERS[name](spec, params, seed)


def _gradient_boosting_space(trial: Trial) -> dict[str, Any]:
    prefix = "gradient_boosting"
    return {
        "max_iter": trial.suggest_int(f"{prefix}.max_iter", 75, 300, step=25),
        "max_leaf_nodes": trial.suggest_int(f"{prefix}.max_leaf_nodes", 7, 31),
        "learning_rate": trial.suggest_float(f"{prefix}.learning_rate", 0.03, 0.12, log=True),
        "min_samples_leaf": trial.suggest_int(f"{prefix}.min_samples_leaf", 50, 500, log=True),
        "l2_regularization": trial.suggest_float(f"{prefix}.l2_regularization", 0.1, 10, log=True),
        "max_features": trial.suggest_float(f"{prefix}.max_features", 0.2, 1.0),
    }


def _logistic_regression_space(trial: Trial) -> dict[str, Any]:
    return {"C": trial.suggest_float("logistic_regression.C", 1e-3, 10, log=True)}


def _gradient_boosting(spec: ProjectSpec, params: dict[str, Any], seed: int) -> Pipeline:
    # Ordered codes, not scikit-learn's native categories: ONNX trees have no split on a set. Measured on the
    # flights, the log-loss differs by less than 0.001.
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, dtype=np.float32)
    model = HistGradientBoostingClassifier(early_stopping=False, random_state=seed, **params)
    return Pipeline([("columns", _columns(spec, "passthrough", codes)), ("model", model)])


def _logistic_regression(spec: ProjectSpec, params: dict[str, Any], seed: int) -> Pipeline:
    scaled = Pipeline(
        [("impute", SimpleImputer(strategy="median", keep_empty_features=True)), ("scale", StandardScaler())]
    )
    indicators = OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.float32)
    model = LogisticRegression(max_iter=300, random_state=seed, **params)
    return Pipeline([("columns", _columns(spec, scaled, indicators)), ("model", model)])


def _dummy(spec: ProjectSpec, params: dict[str, Any], seed: int) -> Pipeline:
    return Pipeline([("model", DummyClassifier(strategy="prior", random_state=seed, **params))])


def _columns(spec: ProjectSpec, number: Any, category: Any) -> ColumnTransformer:
    """Send number columns and category columns, by position, each through its own steps."""
    split, end = len(spec.column_types("number")), len(spec.features.columns)
    parts = [("number", number, slice(0, split)), ("category", category, slice(split, end))]
    return ColumnTransformer([part for part in parts if part[2].start < part[2].stop])


SPACES: dict[str, Callable[[Trial], dict[str, Any]]] = {
    "gradient_boosting": _gradient_boosting_space,
    "logistic_regression": _logistic_regression_space,
}
BUILDERS: dict[str, Callable[[ProjectSpec, dict[str, Any], int], Pipeline]] = {
    "gradient_boosting": _gradient_boosting,
    "logistic_regression": _logistic_regression,
    "dummy": _dummy,
}
