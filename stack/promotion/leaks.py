"""Columns that know the target nearly as well as no model can: it was written into them afterwards.

A column is suspected where it alone, or with one or two others, explains the target but for a rounding error: a rank or
a sum, product, quotient or rate that follows it, a small model of so few columns, or values that are there only with
one outcome.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
import pandas as pd
from pandas import Series
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.inspection import permutation_importance
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from stack.specification.sections import Kind

SUM = "sum or difference"
KINDS: Final[tuple[Kind, ...]] = ("number", "category")
"""Features that are looked at: a text, different in each row, would only tell the order of the rows."""
ROWS = 3000
"""Rows that are looked at, at random."""
EXACT = 0.9998
"""Share of the variance that a formula explains: what is missing is rounding."""
TREND = 3
"""So many columns that each explain a number have a trend in common with it."""
CHANGES = 0.9
"""By time, the correlation of the changes of columns that follow each other."""
LIMITS = {1: 0.99, 2: 0.995, 3: 0.998}
"""Number of columns -> share of a constant answer's error that a model of them takes away."""
SUSPICIOUS = 0.98
"""Of what all columns together explain less, no two or three are tried."""
FILLED, SEEN = 0.05, 30
"""Other outcomes among the filled rows, as a share of what chance would give; and the rows that show it."""
STRONGEST, WIDEST = 5, 40
"""Columns whose pairs and threes are tried by a model, and by a formula."""
FOREST = 20
"""Trees of the model of several columns."""
LEAST = 600
"""Fewer rows with classes decide nothing about several columns."""
CERTAIN, COVERED = 5, 0.95
"""Rows in which a value occurs with one of two classes alone; and the share of that class that such values cover."""


@dataclass(frozen=True)
class Leak:
    """Columns that give the target away, and how."""

    columns: tuple[str, ...]
    how: str
    parts: bool = False
    """The target is made of them by adding, so that each is a part of the outcome."""

    def __str__(self) -> str:
        return f"{', '.join(self.columns)}: {self.how}"


def find(features: pd.DataFrame, target: pd.Series, *, classes: bool, by_time: bool) -> list[Leak]:
    """Return the columns that give the target away: each that does so alone, or else the first two or three together.

    Args:
        features: columns of numbers, truth values or text, with gaps.
        target: numbers, or positions of classes.
        by_time: the rows are in the order of time, and the latest test a model: neighbours resemble each other.
    """
    positions = looked_at(target.notna().to_numpy())
    y = target.to_numpy("float64")[positions]
    if len(y) < 20 or np.ptp(y) == 0 or features.columns.empty:
        return []
    table = _Table(_numbers(features.iloc[positions]), y, classes, by_time)
    alone = {leak.columns: leak for leak in table.alone()}
    explaining = {leak.columns: leak for leak in table.explaining() if leak.columns not in alone}
    trend = not classes and len(explaining) >= TREND
    return [*(alone if trend else explaining | alone).values()] or next(table.together(by_formula_only=trend), [])


def looked_at(known: np.ndarray) -> np.ndarray:
    """Return the positions of the rows that are looked at, of those with a known outcome."""
    positions = np.flatnonzero(known)
    if len(positions) > ROWS:
        positions = np.sort(np.random.default_rng(0).choice(positions, ROWS, replace=False))
    return positions


def _numbers(features: pd.DataFrame) -> pd.DataFrame:
    """Return every column as numbers: texts as positions by their frequency, gaps as NaN."""
    columns = {}
    for name, values in features.items():
        if pd.api.types.is_numeric_dtype(values):
            columns[str(name)] = values.astype("float64")
        else:
            texts = values.astype(object).where(values.isna(), values.astype(str))
            columns[str(name)] = texts.map({text: at for at, text in enumerate(texts.value_counts().index)})
    return pd.DataFrame(columns, index=features.index).astype("float64")


@dataclass(frozen=True)
class _Table:
    features: pd.DataFrame
    y: np.ndarray
    classes: bool
    by_time: bool

    def alone(self) -> Iterator[Leak]:
        """Yield each column that is the target in another form, or is there with one outcome only."""
        ranks = pd.Series(self.y).rank()
        for name, column in self.features.items():
            values = column.reset_index(drop=True)
            if reason := self._filled(values.notna().to_numpy()):
                yield Leak((str(name),), reason)
            elif not self.classes and values.notna().all() and self._follows(ranks, values.rank()):
                yield Leak((str(name),), "it is the target in other units, or follows it exactly")

    def explaining(self) -> Iterator[Leak]:
        """Yield each column of which a small tree knows the target."""
        for name, column in self.features.items():
            share = self._explained(column.to_frame(), 1) if column.nunique() > 1 else 0.0
            if share > LIMITS[1]:
                yield Leak((str(name),), f"alone it explains {share:.1%} of the target")

    def together(self, *, by_formula_only: bool) -> Iterator[list[Leak]]:
        """Yield two or three columns that give the target away together: by a formula, or by a small model."""
        if self.classes:
            yield from self._any_of()
        else:
            yield from ([leak] for leak in self._formulas(self.features, self.y, SUM))
            positive = self.features.loc[:, (self.features > 0).all()]
            if (self.y > 0).all():
                yield from (
                    [leak] for leak in self._formulas(positive.apply(np.log), np.log(self.y), "product or ratio")
                )
            yield from ([leak] for leak in self._rates(positive))
        if by_formula_only or (self.classes and len(self.y) < LEAST):
            return
        strongest = self._strongest()
        for size in (2, 3):
            for names in combinations(strongest, size):
                columns = self.features[list(names)]
                share = self._explained(_with_ratios(columns), FOREST)
                if share > LIMITS[size]:
                    yield [Leak(names, f"together they explain {share:.1%} of the target")]

    def _any_of(self) -> Iterator[list[Leak]]:
        """Yield columns of two values of which one is never seen but with one of two classes, and together always."""
        flags = [values for _, values in self.features.items() if values.nunique() == 2 and values.notna().all()]
        held = [(str(flag.name), flag.to_numpy() == value) for flag in flags for value in flag.unique()]
        outcomes = np.unique(self.y)
        for of_class in (self.y == outcome for outcome in outcomes if len(outcomes) == 2):
            certain = {name: rows for name, rows in held if rows.sum() >= CERTAIN and of_class[rows].all()}
            covered = np.logical_or.reduce([*certain.values()]).sum() if len(certain) > 1 else 0
            if covered >= max(SEEN, COVERED * of_class.sum()):
                yield [Leak((*certain,), "the target is whether any of them holds", parts=True)]

    def _follows(self, ranks: Series[float], others: Series[float]) -> bool:
        """Return whether ranks are those of another column, and by time change with it, beside the trend."""
        if others.nunique() < 2 or abs(ranks.corr(others)) <= EXACT:
            return False
        return not self.by_time or abs(ranks.diff().corr(others.diff())) > CHANGES

    def _filled(self, filled: np.ndarray) -> str:
        """Return why values that are only there with one outcome give it away; empty when they do not."""
        count = int(filled.sum())
        if count < SEEN or len(filled) - count < SEEN:
            return ""
        if not self.classes:
            inside, outside = self.y[filled], self.y[~filled]
            within = (inside.var() * count + outside.var() * (len(filled) - count)) / len(filled)
            return "it is only filled with some outcomes" if within < 0.1 * self.y.var() else ""
        outcomes, counts = np.unique(self.y[filled], return_counts=True)
        usual = outcomes[counts.argmax()]
        chance = float((self.y != usual).mean())
        others = 1 - counts.max() / count
        # So few others among so many rows are no accident.
        return "it is only filled with one outcome" if others < FILLED * chance and chance * count > SEEN / 3 else ""

    def _formulas(
        self, columns: pd.DataFrame, y: np.ndarray, how: str, sizes: tuple[int, ...] = (2, 3)
    ) -> Iterator[Leak]:
        """Yield two or three columns of whose weighted sum the target is made, by the correlations alone."""
        whole = columns.loc[:, columns.notna().all()]
        # A trend explains a trend; what the target is made of explains its changes as well.
        values, target = (whole.diff()[1:], np.diff(y)) if self.by_time else (whole, y)
        values = values.loc[:, np.ptp(values.to_numpy(), axis=0) > 0]
        if values.shape[1] < 2 or np.ptp(target) == 0:
            return
        together = np.corrcoef(np.column_stack([values.to_numpy(), target]), rowvar=False)
        order = np.argsort(-np.abs(together[-1, :-1]))[:WIDEST]
        for size in sizes:
            sets = np.array(list(combinations(order, size)))
            if not len(sets):
                return
            inner = together[sets[:, :, None], sets[:, None, :]] + 1e-9 * np.eye(size)
            outer = together[-1, sets]
            explained = np.einsum("ij,ij->i", outer, np.linalg.solve(inner, outer[:, :, None])[:, :, 0])
            best = int(explained.argmax())
            if explained[best] > EXACT:
                names = tuple(str(values.columns[at]) for at in sorted(sets[best]))
                yield Leak(names, f"the target is a {how} of them", parts=how == SUM)
                return

    def _rates(self, positive: pd.DataFrame) -> Iterator[Leak]:
        """Yield a sum or difference of two columns and a third one by which it is divided, or multiplied."""
        whole = self.features.loc[:, self.features.notna().all() & (self.features.nunique() > 1)]
        for name in [str(name) for name in positive if name in whole][:WIDEST]:
            values = positive[name].to_numpy()
            for operator, scale in (("divided by", values), ("times", 1 / values)):
                target = self.y * scale
                found = next(self._formulas(whole.drop(columns=name), target, SUM, sizes=(2,)), None)
                if not found:
                    continue
                terms = whole[list(found.columns)].assign(constant=1.0).to_numpy()
                answer = terms @ np.linalg.lstsq(terms, target, rcond=None)[0] / scale
                if np.mean((self.y - answer) ** 2) < (1 - EXACT) * self.y.var():  # and not what it is scaled by alone
                    names = " and ".join(found.columns)
                    yield Leak((*found.columns, name), f"the target is a {SUM} of {names} {operator} {name}")
                    return

    def _strongest(self) -> list[str]:
        """Return the columns that a model of all leans on most; none where it explains too little to matter."""
        if self._explained(_with_ratios(self.features), FOREST) < SUSPICIOUS:
            return []
        model = self._model(FOREST).fit(self.features, self.y)
        gains = permutation_importance(model, self.features, self.y, n_repeats=1, random_state=0)["importances_mean"]
        return [str(self.features.columns[at]) for at in np.argsort(-gains)[:STRONGEST]]

    def _explained(self, columns: pd.DataFrame, trees: int) -> float:
        """Return the share of a constant answer's error that a model of some columns takes away.

        It is tested on a third of the rows; by time, the latest.
        """
        place = np.arange(len(self.y))
        test = place >= 2 * len(place) // 3 if self.by_time else place % 3 == 1
        answer = self._model(trees).fit(columns[~test], self.y[~test]).predict(columns[test])
        y = self.y[test]
        if not self.classes:
            return 1 - float(np.mean((y - answer) ** 2)) / float(y.var() or 1)
        usual = 1 - np.unique(y, return_counts=True)[1].max() / len(y)
        return 1 - float(np.mean(answer != y)) / usual if usual else 0.0

    def _model(self, trees: int) -> Any:
        kinds = {
            (True, True): DecisionTreeClassifier,
            (True, False): RandomForestClassifier,
            (False, True): DecisionTreeRegressor,
            (False, False): RandomForestRegressor,
        }
        kind, single = kinds[self.classes, trees == 1], trees == 1
        return kind(min_samples_leaf=5 if single else 1, random_state=0, **({} if single else {"n_estimators": trees}))


def _with_ratios(columns: pd.DataFrame) -> pd.DataFrame:
    """Return the columns, and the quotients of the positive ones, which trees do not find by themselves."""
    positive = [name for name in columns if (columns[name] > 0).all() and columns[name].nunique() > 2][:6]
    ratios = {f"{one}/{other}": columns[one] / columns[other] for one, other in combinations(positive, 2)}
    return columns.assign(**ratios)
