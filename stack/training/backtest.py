"""A forecast's errors on its backtest: by step, and beside forecasts that need no model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from pandas import DataFrame, Series

from stack.specification import forecasts
from stack.specification.specs import ProjectSpec

SHOWN = pd.Timedelta("7D")
"""Of a series, so much of the end of the backtest is drawn."""


def scale(spec: ProjectSpec, fit: DataFrame) -> tuple[float, float]:
    """Return the mean absolute and the root mean squared error of the seasonal naive forecast on the rows of a fit.

    It is the same time of the day before, or of the week before where a step is a day: the denominators of MASE and
    RMSSE (Hyndman and Koehler, 2006).
    """
    season = "same_time" if forecasts.of(spec).a_day > 1 else "same_weekday"
    change = fit[f"{spec.label}_{season}"].to_numpy(np.float64)
    error = fit[forecasts.last(spec.label)].to_numpy(np.float64) + change - fit[spec.label].to_numpy(np.float64)
    error = error[np.isfinite(error)]
    return (float(abs(error).mean()), float((error**2).mean() ** 0.5)) if len(error) else (np.nan, np.nan)


def naive(spec: ProjectSpec, rows: DataFrame) -> DataFrame:
    """Return the forecasts of rows that need no model, a column each; NaN where what they repeat is not known."""
    last = rows[forecasts.last(spec.label)].astype(np.float64)
    changes = forecasts.naive(spec.label, forecasts.of(spec))
    return DataFrame({name: last + rows[change] if change else last for name, change in changes.items()})


def errors(spec: ProjectSpec, rows: DataFrame) -> DataFrame:
    """Return the error of each answered row: absolute, with its sign and squared, and absolute of the naive ones."""
    truth = rows[spec.label].astype(np.float64)
    error = rows["prediction"] - truth
    own = {"mae": error.abs(), "bias": error, "squared": error**2}
    return DataFrame(own).join(naive(spec, rows).sub(truth, axis=0).abs())


def weights(spec: ProjectSpec, rows: DataFrame) -> np.ndarray:
    """Return a weight for each row, (n,): 1 / e², of the error e that the best naive forecast has at the row's step.

    The near steps are easy, and their errors small: without weights a model leaves them to chance for the far ones.
    """
    step = _step(spec, rows)
    best = naive(spec, rows).sub(rows[spec.label], axis=0).abs().groupby(step).mean().min(axis=1)
    error = step.map(best.where(best > 0)).fillna(best.mean() or 1.0).to_numpy(np.float64)
    return np.asarray(1 / error**2)


def by_step(spec: ProjectSpec, rows: DataFrame, fit: DataFrame) -> DataFrame:
    """Return MAE, bias, MASE and RMSSE of answered rows, and the MAE of each naive forecast, by step."""
    groups = errors(spec, rows).groupby(_step(spec, rows))
    table, (absolute, squared) = groups.mean(), scale(spec, fit)
    table.insert(2, "mase", table["mae"] / absolute)
    table.insert(3, "rmsse", table.pop("squared") ** 0.5 / squared)
    return table.assign(rows=groups.size()).rename_axis("step")


def _step(spec: ProjectSpec, rows: DataFrame) -> Series[int]:
    """Return how many steps after the last known value each row is; those of a new series count as the last step."""
    last = forecasts.of(spec).steps
    return rows[forecasts.ahead(forecasts.time_of(spec))].fillna(last).round().clip(1, last).astype(int)


def metrics(spec: ProjectSpec, rows: DataFrame, fit: DataFrame) -> dict[str, float]:
    """Return MASE and RMSSE of answered rows, and the MAE of each naive forecast; what is not defined is left out."""
    mean, (absolute, squared) = errors(spec, rows).mean(), scale(spec, fit)
    found = {"mase": mean["mae"] / absolute, "rmsse": mean["squared"] ** 0.5 / squared}
    naive = forecasts.naive(spec.label, forecasts.of(spec))
    found |= {f"mae.{name.replace(' ', '_')}": mean[name] for name in naive}
    return {name: float(value) for name, value in found.items() if np.isfinite(value)}


def write(spec: ProjectSpec, rows: DataFrame, fit: DataFrame, folder: Path) -> None:
    """Write ``steps.csv``, ``steps.png`` (error by step) and ``backtest.png`` (the end of one series)."""
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    table = by_step(spec, rows, fit)
    table.to_csv(folder / "steps.csv")
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name in ("mae", *forecasts.naive(spec.label, forecasts.of(spec))):
        axes.plot(table.index, table[name], label="the model" if name == "mae" else name, lw=2 if name == "mae" else 1)
    axes.set_xlabel("step")
    axes.set_ylabel("mean absolute error")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize="small")
    figure.savefig(folder / "steps.png", dpi=80)
    _backtest(spec, rows, folder / "backtest.png")


def _backtest(spec: ProjectSpec, rows: DataFrame, path: Path) -> None:
    """Draw the answers of the end of a backtest over the values, those asked earlier fainter."""
    from matplotlib.figure import Figure

    time, keys = forecasts.time_of(spec), [name for name in forecasts.keys(spec) if name in rows]
    if keys:
        rows = rows[(rows[keys] == rows[keys].iloc[-1]).all(axis=1)]
    at = rows["event_timestamp"] + pd.to_timedelta(rows[forecasts.ahead(time)] * forecasts.of(spec).every)
    shown = rows.assign(at=at)[at > at.max() - SHOWN].sort_values("at")
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    axes.scatter(shown["at"], shown["prediction"], s=6, alpha=0.4, label="asked up to a horizon before")
    if spec.interval:
        axes.vlines(shown["at"], shown["low"], shown["high"], alpha=0.05, lw=3, label=f"{spec.interval:.0%} interval")
    truth = shown.drop_duplicates("at")
    axes.plot(truth["at"], truth[spec.label], color="black", lw=1, label=spec.label)
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=80)
