"""The parts of a project's own ``projects/<name>/model.py``: candidates for the search, and a metric.

Both are optional. The candidates compete with those of :mod:`stack.training.candidates`; the search optimises the
metric, and versions are compared by it first::

    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder
    from stack.kit.models import Candidate, Metric

    def forest(columns, seed, **params):
        codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
        return make_pipeline(columns.through("passthrough", codes), RandomForestClassifier(random_state=seed, **params))

    def space(trial):
        return {"n_estimators": trial.suggest_int("n_estimators", 50, 400, log=True)}

    def top_fifth(label, answer):
        called = answer[:, 0].argsort()[::-1][: len(label) // 5]
        return label[called].sum() / label.sum()

    CANDIDATES = {"forest": Candidate(forest, space, initial_params={"n_estimators": 200})}
    METRIC = Metric("top_fifth", top_fifth)

Estimators that skl2onnx converts are served fastest; others are served by skops, if it trusts their types.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import TargetEncoder

from stack.kit.text import counts

__all__ = ["Candidate", "Columns", "Metric", "Suggest"]

Outcome = Literal["binary", "multiclass", "continuous"]
FOLDS = 5
"""Parts of the rows of a fit; each is encoded by the outcomes of the others."""
SPARSE = 0.3
"""Share of values that are not 0, below which a matrix with texts is sparse."""


class Suggest(Protocol):
    """The part of an Optuna trial that a space draws from; a parameter is named without its candidate."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """Draw an integer, both ends included."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Draw a number."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Draw one of several values."""


@dataclass(frozen=True)
class Columns:
    """The columns of a pipeline's input frame.

    Numbers (float32, NaN where missing), then categories (strings), then texts (words with a blank between them).
    """

    numbers: tuple[str, ...]
    categories: tuple[str, ...]
    monotonic: tuple[int, ...] | None = None
    """1 (increasing), -1 (decreasing) or 0 for each of them, by `features.monotonic`, of a text for each word that is
    counted; None without any."""
    texts: Mapping[str, int] = field(default_factory=dict)
    """Text -> how many of its words are counted."""
    encoded: tuple[str, ...] = ()
    """The categories that are encoded by the target."""
    outcome: Outcome = "binary"
    """What the outcome is, as :class:`sklearn.preprocessing.TargetEncoder` names it."""

    def through(self, number: Any, category: Any, text: Callable[[], Any] | None = None) -> ColumnTransformer:
        """Send numbers and categories, by position, each through their own transformer, or "passthrough".

        A category that is encoded by the target is a number then, and goes through the transformer of numbers.

        Args:
            text: makes the transformer of each text, which may give a sparse matrix; its words are counted without.
        """
        split, end = len(self.numbers), len(self.numbers) + len(self.categories)
        plain = [at for at, name in enumerate(self.categories, split) if name not in self.encoded]
        encoded = [at for at, name in enumerate(self.categories, split) if name in self.encoded]
        parts: list[tuple[str, Any, Any]] = [("number", number, slice(0, split))] if split else []
        parts += [("category", category, plain if encoded else slice(split, end))] if plain else []
        parts += [("encoded", self._encoder(number), encoded)] if encoded else []
        if not self.texts:
            return ColumnTransformer(parts)
        numeric = self.outcome == "continuous"
        words = [text() if text else counts(size, numeric=numeric) for size in self.texts.values()]
        parts += [(f"text_{at}", transformer, end + at) for at, transformer in enumerate(words)]
        return ColumnTransformer(parts, sparse_threshold=SPARSE if text else 0)

    def _encoder(self, number: Any) -> Any:
        """Return what encodes categories by the target: of a row that is fitted on, by the other rows' outcomes."""
        folds = KFold(FOLDS, shuffle=True, random_state=0)
        encoder = TargetEncoder(target_type=self.outcome, cv=folds)
        return encoder if number == "passthrough" else Pipeline([("encode", encoder), ("number", number)])


@dataclass(frozen=True)
class Candidate:
    """A kind of model that competes in the search.

    Args:
        build: returns the unfitted scikit-learn pipeline for (columns, seed, **parameters). It is fitted on a frame
            with these columns and, of a classification, the positions of the classes (0, 1, ...).
        space: draws the parameters; None when there are none.
        initial_params: the value of each of these parameters in the first trial.
        monotonic: whether the pipeline keeps to the directions of its columns.
        fit_stopped: fits a built pipeline on a fold, (features, outcomes, test features, test outcomes, weights of the
            rows or None), until it gets no better on the test rows; returns the counts that it found, as of trees, by
            parameter. The fit on all rows has their means over the folds. Without it, a fold is fitted as all rows are.
        centre: the former name of `initial_params`, read for one release.
    """

    build: Callable[..., Pipeline]
    space: Callable[[Suggest], dict[str, Any]] | None = None
    initial_params: Mapping[str, Any] = field(default_factory=dict)
    centre: InitVar[Mapping[str, Any] | None] = None
    monotonic: bool = False
    fit_stopped: Callable[[Pipeline, Any, Any, Any, Any, Any], Mapping[str, int]] | None = None

    def __post_init__(self, centre: Mapping[str, Any] | None) -> None:
        if centre is not None:
            warnings.warn("centre of a Candidate is now initial_params", FutureWarning, stacklevel=3)
            object.__setattr__(self, "initial_params", centre)


@dataclass(frozen=True)
class Metric:
    """A metric of (label, answer): encoded outcomes (n,) and answers (n, outputs)."""

    name: str
    measure: Callable[[np.ndarray, np.ndarray], float]
    greater_is_better: bool = True
