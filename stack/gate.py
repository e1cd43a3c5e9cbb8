"""The gate: what a challenger must show before it goes live.

:func:`judge` decides from figures alone; :func:`run` collects the figures, and writes the decision into the
challenger's run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from operator import ge, le
from statistics import median
from time import perf_counter
from typing import Any, Literal

import numpy as np
import pandas as pd
from pandas import DataFrame

from stack import evaluation, registry
from stack.errors import StackError
from stack.project import ProjectSpec
from stack.registry import Version
from stack.served import ServedModel
from stack.settings import Settings

SLICE_ROWS = 200
"""A slice with fewer holdout rows is not judged: its AUC is noise (standard deviation about 0.04)."""
LATENCY_CALLS = 200


@dataclass(frozen=True)
class Reason:
    """One limit, and what was found."""

    name: str
    found: float
    sign: Literal[">=", "<="]
    limit: float
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether the limit is met; NaN meets none."""
        return bool({">=": ge, "<=": le}[self.sign](self.found, self.limit))

    def __str__(self) -> str:
        note = f" ({self.note})" if self.note else ""
        return f"{self.name} {self.found:.4g} {'is' if self.ok else 'is not'} {self.sign} {self.limit:g}{note}"


@dataclass(frozen=True)
class Comparison:
    """Challenger and champion on the same rows, which neither model was fitted on."""

    champion: str
    """The champion's version."""
    basis: str
    """Which rows, and which form of each model."""
    label: np.ndarray
    challenger_probability: np.ndarray
    champion_probability: np.ndarray


@dataclass(frozen=True)
class Decision:
    """The gate's answer, and why."""

    version: str
    champion: str | None
    basis: str
    reasons: tuple[Reason, ...]

    @property
    def passed(self) -> bool:
        """Whether every limit is met."""
        return all(reason.ok for reason in self.reasons)

    def markdown(self) -> str:
        """A table for people."""
        head = f"Version {self.version} **{'passed' if self.passed else 'was refused'}**. {self.basis}\n\n"
        rows = (
            f"| {reason.name} | {reason.found:.4g} | {reason.sign} {reason.limit:g} | "
            f"{'ok' if reason.ok else '**no**'} | {reason.note} |"
            for reason in self.reasons
        )
        return head + "\n".join(["| | found | limit | | |", "|---|---|---|---|---|", *rows]) + "\n"

    def json(self) -> str:
        """The decision for machines."""
        reasons = [{**vars(reason), "ok": reason.ok} for reason in self.reasons]
        return json.dumps({**vars(self), "reasons": reasons, "passed": self.passed}, indent=2) + "\n"


def judge(
    spec: ProjectSpec,
    version: str,
    holdout: DataFrame,
    *,
    base_rate: float,
    served_difference: float,
    latency_ms: float,
    comparison: Comparison | None = None,
) -> Decision:
    """Hold a challenger's figures against the limits of ``gate`` in project.yaml.

    Args:
        holdout: the label, ``probability`` and the columns of the slices.
        base_rate: share of positive outcomes in the rows the model was fitted on.
        served_difference: largest difference between served and trained form.
        latency_ms: median time of one row through the served form.
        comparison: None when the project has no champion yet.
    """
    gate, found = spec.gate, evaluation.metrics(holdout[spec.label], holdout["probability"], base_rate)
    reasons = [
        Reason("auc", found["auc"], ">=", gate.min_auc),
        Reason("auc", found["auc"], "<=", gate.max_auc, "above this something leaks"),
        Reason("brier skill", found["brier_skill"], ">=", gate.min_brier_skill, f"against always {base_rate:.3f}"),
        Reason(
            "absolute bias",
            abs(found["bias"]),
            "<=",
            gate.max_bias,
            f"mean probability - mean outcome {found['bias']:+.4f}",
        ),
        *_slices(spec, holdout),
        *_against_champion(spec, comparison),
        Reason("served form", served_difference, "<=", gate.max_served_difference, "largest difference to the trained"),
        Reason("latency ms", latency_ms, "<=", gate.max_latency_ms, "median of one row"),
    ]
    basis = comparison.basis if comparison else "There is no champion to compare with."
    return Decision(version, comparison.champion if comparison else None, basis, tuple(reasons))


def run(settings: Settings, spec: ProjectSpec) -> Decision:
    """Judge the challenger; log ``gate/gate.json`` and ``gate/gate.md`` to its run, and tag the version.

    Raises:
        StackError: the project has no challenger.
    """
    version = registry.challenger(settings, spec)
    if version is None:
        raise StackError(
            f"model {spec.name}",
            found="no version with the alias challenger",
            expected="a challenger to judge",
            todo=f"make train PROJECT={spec.name}",
        )
    holdout, champion = registry.holdout(settings, version), registry.champion(settings, spec)
    with registry.artifacts(settings, version, "served") as folder:
        difference, latency = _served(ServedModel(folder), registry.reference(settings, version))
    decision = judge(
        spec,
        version.version,
        holdout,
        base_rate=float(version.tag("stack.base_rate")),
        served_difference=difference,
        latency_ms=latency,
        comparison=compare(settings, spec, holdout, champion) if champion else None,
    )
    files = {"gate.json": decision.json().encode(), "gate.md": decision.markdown().encode()}
    registry.upload(settings, version, "gate", files)
    registry.tag(settings, version, {"stack.gate": "passed" if decision.passed else "refused"})
    return decision


def compare(settings: Settings, spec: ProjectSpec, holdout: DataFrame, champion: Version) -> Comparison:
    """Let the champion predict rows of the challenger's holdout that it was not fitted on either.

    The champion was refitted on all labels known at its cut-off, so only rows asked later are new to its served form.
    A champion trained shortly ago leaves few of those; then more rows stand in both holdouts, and each model answers
    there as it was before its own refit. Whichever gives more rows is used.
    """
    cutoff = pd.Timestamp(champion.tag("stack.cutoff"))
    theirs = registry.holdout(settings, champion)[["event_id", "probability"]]
    shared = holdout.merge(theirs, on="event_id", suffixes=("", "_champion"))
    later = holdout[holdout["event_timestamp"] > cutoff]
    with registry.artifacts(settings, champion, "served") as folder:
        model = ServedModel(folder)
        answers = set(model.columns) <= set(later.columns)
        if len(later) >= len(shared) and answers:
            shared = later.assign(probability_champion=model.predict({name: later[name] for name in model.columns}))
            rows = f"{len(later):,} rows asked after the champion's cut-off ({cutoff:%Y-%m-%d %H:%M} UTC)"
        else:
            rows = f"{len(shared):,} rows in the holdout of both, each model as fitted before its own holdout"
    return Comparison(
        champion.version,
        f"Compared with champion version {champion.version} on {rows}.",
        shared[spec.label].to_numpy(),
        shared["probability"].to_numpy(),
        shared["probability_champion"].to_numpy(),
    )


def _slices(spec: ProjectSpec, holdout: DataFrame) -> Iterable[Reason]:
    for column, limit in spec.gate.slices.items():
        sizes = holdout[column].astype(str).value_counts()
        for value, found in evaluation.slices(holdout, column, spec.label).items():
            if sizes[value] >= SLICE_ROWS:
                yield Reason(f"auc of {column} {value}", found, ">=", limit, f"{sizes[value]:,} rows")


def _against_champion(spec: ProjectSpec, comparison: Comparison | None) -> Iterable[Reason]:
    if comparison is None:
        return
    ours, theirs = (
        float(evaluation.losses(comparison.label, probability).mean()) if len(comparison.label) else float("nan")
        for probability in (comparison.challenger_probability, comparison.champion_probability)
    )
    note = f"{ours:.4f} against {theirs:.4f} on {len(comparison.label):,} rows"
    yield Reason("log-loss - champion's", ours - theirs, "<=", spec.gate.max_log_loss_increase, note)


def _served(model: ServedModel, reference: DataFrame) -> tuple[float, float]:
    """Hold the served form against what the trained pipeline answered for the reference rows, and time one row.

    Returns:
        The largest difference of a probability, and the median milliseconds of one row.
    """
    found = model.predict({name: reference[name] for name in model.columns})
    row: dict[str, Any] = {name: [reference[name].iloc[0]] for name in model.columns}
    return float(np.abs(found - reference["probability"]).max()), median(
        _milliseconds(model, row) for _ in range(LATENCY_CALLS)
    )


def _milliseconds(model: ServedModel, row: dict[str, Any]) -> float:
    began = perf_counter()
    model.predict(row)
    return (perf_counter() - began) * 1000
