"""Boosted trees as candidates of the search: scikit-learn's, and LightGBM and XGBoost where they are installed.

Neither library is imported before a model of it is fitted. How many trees theirs have is found on the folds, by early
stopping; the fit on all rows has the mean of the folds.
"""

from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

from stack.kit.models import Candidate, Columns, Suggest

LEAST_LEAF, LARGEST_LEAF, LEAVES = 5, 200, 150
"""The first trial's smallest leaf of a tree: a share 1 / `LEAVES` of the rows, between these."""
SMALL = 10_000
"""Smaller tables need smaller trees that consider more columns at a split."""
MOST_TREES, PATIENCE = 1000, 30
"""Early stopping: at most so many trees, and none after so many that did not lower the loss."""
TREES = "n_estimators"
EXTRA = {
    "lightgbm": ("num_leaves", "learning_rate", "min_child_samples", "reg_lambda", "feature_fraction_bynode"),
    "xgboost": ("max_leaves", "learning_rate", "min_child_weight", "reg_lambda", "colsample_bynode"),
}
"""Candidate of the extra ``boosters``, which is the name of its package -> its names for leaves, learning rate, size of
the smallest leaf, L2 regularization and share of the columns at a split."""
PACKAGES = {"lightgbm": ("lightgbm", "onnxmltools"), "xgboost": ("xgboost-cpu", "onnxmltools")}
"""The same candidates -> what is installed for them."""
TODO = "make extras NAME=boosters"


def candidates(numeric: bool, rows: int) -> dict[str, Candidate]:
    """Return the boosted trees for a task and a table of so many rows."""
    names = ("max_leaf_nodes", "learning_rate", "min_samples_leaf", "l2_regularization", "max_features")
    of_tree, first = _parameters(rows, names)

    def with_trees(trial: Suggest) -> dict[str, Any]:
        return {"max_iter": trial.suggest_int("max_iter", 75, 300, step=25), **of_tree(trial)}

    estimator = HistGradientBoostingRegressor if numeric else HistGradientBoostingClassifier
    keeps_directions = partial(Candidate, monotonic=True)
    known = {"gradient_boosting": keeps_directions(partial(_own, estimator), with_trees, {"max_iter": 150, **first})}
    for name in filter(find_spec, EXTRA):
        space, initial_params = _parameters(rows, EXTRA[name])
        build, fit = BUILD[name]
        known[name] = keeps_directions(
            partial(build, numeric), space, initial_params, fit_stopped=partial(_stopped, fit)
        )
    return known


def _parameters(rows: int, names: tuple[str, ...]) -> tuple[Callable[[Suggest], dict[str, Any]], dict[str, Any]]:
    """Return the space of trees under a library's names, and the first trial, whose leaves fit the table's size."""
    leaf = min(LARGEST_LEAF, max(LEAST_LEAF, rows // LEAVES))
    leaves, rate, smallest, l2, columns = names

    def space(trial: Suggest) -> dict[str, Any]:
        return {
            leaves: trial.suggest_int(leaves, 7 if rows > SMALL else 3, 31),
            rate: trial.suggest_float(rate, 0.03, 0.12, log=True),
            smallest: trial.suggest_int(smallest, max(2, leaf // 4), leaf * 5 // 2, log=True),
            l2: trial.suggest_float(l2, 0.1, 10, log=True),
            columns: trial.suggest_float(columns, 0.2, 1.0),
        }

    small = rows <= SMALL
    return space, dict(zip(names, (7 if small else 15, 0.06, leaf, 1.0, 0.5 if small else 0.25), strict=True))


def _pipeline(columns: Columns, model: Any) -> Pipeline:
    # Ordered codes, not native categories: scikit-learn's have no ONNX form, as its trees have no split on a set.
    # Measured on the flights, the log-loss differs by less than 0.001.
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, dtype=np.float32)
    return Pipeline([("columns", columns.through("passthrough", codes)), ("model", model)])


def _own(estimator: Any, columns: Columns, seed: int, **params: Any) -> Pipeline:
    return _pipeline(
        columns, estimator(early_stopping=False, random_state=seed, monotonic_cst=columns.monotonic, **params)
    )


def _lightgbm(numeric: bool, columns: Columns, seed: int, **params: Any) -> Pipeline:
    import lightgbm

    if columns.monotonic:
        params["monotone_constraints"] = list(columns.monotonic)
    kind = lightgbm.LGBMRegressor if numeric else lightgbm.LGBMClassifier
    # On one thread, and with one way of making histograms, the same rows give the same trees on every machine.
    return _pipeline(columns, kind(random_state=seed, n_jobs=1, force_col_wise=True, verbosity=-1, **params))


def _xgboost(numeric: bool, columns: Columns, seed: int, **params: Any) -> Pipeline:
    import xgboost

    kind = xgboost.XGBRegressor if numeric else xgboost.XGBClassifier
    model = kind(random_state=seed, n_jobs=1, max_depth=0, grow_policy="lossguide", **params)
    return _pipeline(columns, model.set_params(monotone_constraints=columns.monotonic))


def _stopped(
    fit: Callable[..., int], pipeline: Pipeline, features: Any, label: Any, test: Any, test_label: Any, weight: Any
) -> Mapping[str, int]:
    """Fit a pipeline until the loss of the test rows falls no more; return the number of trees that is best there."""
    columns, model = pipeline[:-1], pipeline[-1].set_params(**{TREES: MOST_TREES})
    inputs, weight = columns.fit_transform(features, label), np.ones(len(label)) if weight is None else weight
    if hasattr(model, "predict_proba"):
        # Both libraries want every class in the rows of a fit: one that is absent gets a row without weight.
        absent = np.setdiff1d(np.arange(max(label.max(), test_label.max()) + 1), label)
        inputs = np.concatenate([inputs, inputs[: len(absent)]])
        label, weight = np.concatenate([label, absent]), np.concatenate([weight, np.zeros(len(absent))])
    return {TREES: fit(model, inputs, label, weight, columns.transform(test), test_label)}


def _stop_lightgbm(model: Any, inputs: Any, label: Any, weight: Any, test: Any, test_label: Any) -> int:
    import lightgbm

    stop = lightgbm.early_stopping(PATIENCE, verbose=False)
    model.fit(inputs, label, sample_weight=weight, eval_X=(test,), eval_y=(test_label,), callbacks=[stop])
    return int(model.best_iteration_)


def _stop_xgboost(model: Any, inputs: Any, label: Any, weight: Any, test: Any, test_label: Any) -> int:
    model.set_params(early_stopping_rounds=PATIENCE)
    model.fit(inputs, label, sample_weight=weight, eval_set=[(test, test_label)], verbose=False)
    return int(model.best_iteration) + 1


BUILD: dict[str, tuple[Callable[..., Pipeline], Callable[..., int]]] = {
    "lightgbm": (_lightgbm, _stop_lightgbm),
    "xgboost": (_xgboost, _stop_xgboost),
}
"""Candidate of the extra -> what builds its pipeline, and what fits its model by early stopping."""
