"""The candidates of a training: scikit-learn pipelines over the feature columns, and the spaces that are searched.

A pipeline takes a frame as :func:`frame` makes it: number columns (float32) first, then category columns and texts
(strings). In that order the served form takes two tensors instead of one for each column, which halves its time. A
project adds its own in ``projects/<name>/model.py``: see :mod:`stack.kit.models`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import parallel_config
from pandas import DataFrame
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from stack.core.errors import StackError, nearest
from stack.kit.models import Candidate, Columns, Metric, Outcome
from stack.kit.text import telling, tfidf
from stack.project import contract
from stack.project.contract import ModelCandidates, ModelMetric
from stack.serving.served import strings
from stack.specification import frames, tasks
from stack.specification.sections import KINDS
from stack.specification.specs import ProjectSpec
from stack.training import backtest, encodings, trees

if TYPE_CHECKING:
    from optuna import Trial

BASELINE = "dummy"
SIGNS = {None: 0, "increasing": 1, "decreasing": -1}


def frame(spec: ProjectSpec, rows: DataFrame) -> DataFrame:
    """Return the model's input from rows with the feature columns: numbers, categories, then the words of texts."""
    numbers, categories, texts = (spec.column_types(kind) for kind in KINDS)
    packed = strings({name: rows[name] for name in categories + texts}, categories, texts, len(rows))
    return frames.with_columns(rows[numbers].astype(np.float32), dict(zip(categories + texts, packed.T, strict=True)))


def available(spec: ProjectSpec, rows: int) -> dict[str, Candidate]:
    """Return the candidates of a project for a table of so many rows, each with the parameters of its first trial.

    Raises:
        StackError: project.yaml names a candidate, or a parameter of a candidate, that does not exist.
    """
    known, configured = _known(spec, rows), spec.training.initial_params
    for name in [*spec.training.candidates, *configured]:
        _require(spec, name, known)
    chosen = {name: known[name] for name in _named(spec, known) if name not in _without_directions(spec, known)}
    if not chosen:
        raise StackError(
            spec.place("training.candidates"),
            found=", ".join(spec.training.candidates),
            expected="one that keeps to the directions of features.monotonic, as gradient_boosting",
        )
    for name, candidate in chosen.items():
        params = candidate.initial_params
        for key in configured.get(name, {}):
            if key not in params:
                raise StackError(
                    spec.place(f"training.initial_params.{name}"),
                    found=f"{key!r}{nearest(key, params)}",
                    expected=f"parameters among {', '.join(params) or 'none'}",
                )
        chosen[name] = replace(candidate, initial_params={**params, **configured.get(name, {})})
    return chosen


def notice(spec: ProjectSpec, rows: int) -> str:
    """Return which candidates the search leaves out, and why; empty when there is none."""
    left_out = _without_directions(spec, _known(spec, rows))
    return f"left out, as they cannot keep to features.monotonic: {', '.join(left_out)}" if left_out else ""


def own(spec: ProjectSpec) -> dict[str, Candidate]:
    """Return the candidates of the project's ``model.py``."""
    model = contract.model(spec.name)
    return dict(model.CANDIDATES) if isinstance(model, ModelCandidates) else {}


def own_metric(spec: ProjectSpec) -> Metric | None:
    """Return the metric of the project's ``model.py``."""
    model = contract.model(spec.name)
    return model.METRIC if isinstance(model, ModelMetric) else None


def searched(known: dict[str, Candidate]) -> list[str]:
    """Return the candidates that have hyper-parameters, in the order of their first trials."""
    return [name for name, candidate in known.items() if candidate.space]


def suggest(trial: Trial, known: dict[str, Candidate]) -> tuple[str, dict[str, Any]]:
    """Suggest a candidate and its parameters."""
    name = trial.suggest_categorical("candidate", searched(known))
    return name, suggest_params(trial, name, known)


def suggest_params(trial: Trial, name: str, known: dict[str, Candidate]) -> dict[str, Any]:
    """Suggest the parameters of a candidate."""
    space = known[name].space
    return space(_Prefixed(trial, name)) if space else dict(known[name].initial_params)


def params(suggested: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the parameters of a candidate among all values of a trial."""
    return {key.removeprefix(f"{name}."): value for key, value in suggested.items() if key.startswith(f"{name}.")}


def initial_params(name: str, known: dict[str, Candidate]) -> dict[str, Any]:
    """Return the values of a candidate's first trial, to be enqueued."""
    return {"candidate": name} | {f"{name}.{key}": value for key, value in known[name].initial_params.items()}


def fit(spec: ProjectSpec, name: str, params: dict[str, Any], rows: DataFrame) -> Pipeline:
    """Fit a candidate on rows that hold the feature columns and the encoded label."""
    return fit_on(spec, name, params, frame(spec, rows), rows[spec.label], weights(spec, rows))[0]


def weights(spec: ProjectSpec, rows: DataFrame) -> np.ndarray | None:
    """Return the weights of rows, 1 in the mean: by ``training.half_life``, and of a forecast by its step.

    None where they count alike.
    """
    if spec.training.half_life is None and not spec.forecast:
        return None
    weight = backtest.weights(spec, rows) if spec.forecast else np.ones(len(rows))
    if spec.training.half_life:
        age = (rows["event_timestamp"].max() - rows["event_timestamp"]) / spec.training.half_life
        weight = weight * np.exp2(-age.to_numpy(np.float64))
    return np.asarray(weight / weight.mean())


def fit_on(
    spec: ProjectSpec,
    name: str,
    params: dict[str, Any],
    features: DataFrame,
    label: Any,
    weight: np.ndarray | None = None,
    test: tuple[DataFrame, Any] | None = None,
) -> tuple[Pipeline, dict[str, int]]:
    """Fit a candidate on features as :func:`frame` makes them.

    Parts of a model that can be fitted in parallel use threads: processes would load all modules again.

    Args:
        weight: of the rows, (rows,); they count alike without it.
        test: features and label of a fold's test rows, by which a candidate may stop.

    Returns:
        The pipeline, and the parameters that stopping has found.
    """
    candidate = _require(spec, name, _known(spec, len(features)))
    # Of a number without any value nothing can be learnt, and scikit-learn's boosting cannot bin it.
    empty = features.columns[features.isna().all()]
    features = frames.with_columns(features, dict.fromkeys(empty, np.float32(0)))
    outcomes = _learnt(spec, features, label)
    pipeline = candidate.build(_columns(spec, features, outcomes), spec.training.seed, **params)
    if weight is not None and not _takes_weights(pipeline[-1]):
        if spec.training.half_life:
            raise StackError(
                spec.place("training.half_life"),
                found=f"candidate {name}, whose fit takes no sample_weight",
                expected="candidates that can weight their rows",
                todo="leave it out of training.candidates",
            )
        weight = None
    if weight is not None:
        from stack.training import _compat  # MLflow and skl2onnx, 2 s that the check of a project saves

        _compat.hasten_weighted_binning()
    weighted = {f"{pipeline.steps[-1][0]}__sample_weight": weight}
    with parallel_config(backend="threading", n_jobs=-1):
        if test and candidate.fit_stopped:
            found = candidate.fit_stopped(pipeline, features, outcomes, test[0], _learnt(spec, *test), weight)
        else:
            found = {}
            pipeline.fit(features, outcomes, **({} if weight is None else weighted))
    encodings.round_encodings(pipeline)
    return pipeline, dict(found)


def _columns(spec: ProjectSpec, features: DataFrame, outcomes: Any) -> Columns:
    """Return the columns of a pipeline that is fitted on features and outcomes, which may lack a class."""
    numbers, categories = tuple(spec.column_types("number")), tuple(spec.column_types("category"))
    texts = {name: telling(features[name]) for name in spec.column_types("text")}
    signs = [SIGNS[spec.features.monotonic.get(name)] for name in (*numbers, *categories)]
    directions = (*signs, *[0] * sum(texts.values())) if any(signs) else None
    encoded = tuple(name for name in categories if name in spec.features.encode)
    kind: Outcome = (
        "continuous" if tasks.of(spec).numeric else "multiclass" if len(np.unique(outcomes)) > 2 else "binary"
    )
    return Columns(numbers, categories, directions, texts, encoded, kind)


def _learnt(spec: ProjectSpec, features: DataFrame, label: Any) -> Any:
    """Return what a pipeline is fitted on: positions of classes, numbers, or their differences from the offset."""
    task = tasks.of(spec)
    outcomes = label.astype(int if task.classes else float)
    return outcomes - task.offsets(features).ravel() if task.offset else outcomes


class _Prefixed:
    """A trial that puts the candidate's name before a parameter's."""

    def __init__(self, trial: Trial, name: str) -> None:
        self._trial, self._name = trial, name

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return int(self._trial.suggest_int(f"{self._name}.{name}", low, high, step=step, log=log))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        return float(self._trial.suggest_float(f"{self._name}.{name}", low, high, step=step, log=log))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._trial.suggest_categorical(f"{self._name}.{name}", choices)


def _known(spec: ProjectSpec, rows: int) -> dict[str, Candidate]:
    return _built_in(spec, rows) | own(spec)


def _require(spec: ProjectSpec, name: str, known: dict[str, Candidate]) -> Candidate:
    """Return a candidate by its name. StackError: project.yaml, or a search elsewhere, names one that is not here."""
    if name not in known:
        own = "name a known candidate, or add it to CANDIDATES in model.py"
        raise StackError(
            spec.place("training"),
            found=f"{name!r}{nearest(name, known)}",
            expected=f"candidates among {', '.join(known)}",
            todo=trees.TODO if name in trees.EXTRA else own,
        )
    return known[name]


def _named(spec: ProjectSpec, known: dict[str, Candidate]) -> list[str]:
    return [name for name in known if name in (spec.training.candidates or known)]


def _without_directions(spec: ProjectSpec, known: dict[str, Candidate]) -> list[str]:
    """Return the candidates that would break ``features.monotonic``; the baseline's answer is the same for all rows."""
    if not spec.features.monotonic:
        return []
    return [name for name in _named(spec, known) if not known[name].monotonic and name != BASELINE]


def _takes_weights(model: Any) -> bool:
    """Return whether a model's fit takes weights of the rows, or hands them on."""
    taken = signature(model.fit).parameters.values()
    return any(parameter.name == "sample_weight" or parameter.kind is parameter.VAR_KEYWORD for parameter in taken)


def _built_in(spec: ProjectSpec, rows: int) -> dict[str, Candidate]:
    """Return the candidates that every project of a task has."""
    wide = 10 if spec.column_types("text") else 1  # the weights of a text's words are small numbers
    if tasks.of(spec).numeric:
        baseline: Candidate = Candidate(lambda _, seed, **params: Pipeline([("model", DummyRegressor(**params))]))
        linear = Candidate(
            partial(_linear, Ridge),
            lambda trial: {"alpha": trial.suggest_float("alpha", 1e-2, 1e3, log=True)},
            {"alpha": 1.0},
        )
    else:
        baseline = Candidate(
            lambda _, seed, **params: Pipeline([("model", DummyClassifier(random_state=seed, **params))])
        )
        linear = Candidate(
            partial(_linear, LogisticRegression, max_iter=300),
            lambda trial: {"C": trial.suggest_float("C", 1e-3, 10 * wide, log=True)},
            {"C": 0.1 * wide},
        )
    boosted = trees.candidates(tasks.of(spec).numeric, rows)
    return {BASELINE: baseline, "gradient_boosting": boosted.pop("gradient_boosting"), "linear": linear, **boosted}


def _linear(estimator: Any, columns: Columns, seed: int, **params: Any) -> Pipeline:
    scaled = Pipeline(
        [("impute", SimpleImputer(strategy="median", keep_empty_features=True)), ("scale", StandardScaler())]
    )
    indicators = OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.float32)
    model = estimator(random_state=seed, **params)
    return Pipeline([("columns", columns.through(scaled, indicators, tfidf)), ("model", model)])
