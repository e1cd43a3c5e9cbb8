"""The gate: what a challenger must show before it goes live.

:func:`judge` decides from figures alone; :func:`run` collects the figures, and writes the decision into the
challenger's run.

Against a champion, on the same most recent labelled rows that neither was fitted on:

- never worse than ``max_loss_increase``, nor in a slice than ``max_slice_loss_increase``;
- and better beyond the interval over days (of a random split: rows), unless the champion is due: past
  ``monitoring.max_age``, or off by more than ``monitoring.max_bias`` on these rows. What is due is replaced by what is
  not worse: to ask for a proof of being better blocks good successors, as 28 days seldom give one (on the flights the
  interval is +-0.008 wide, and the gain of a retraining 0.003).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from operator import ge, le, lt
from statistics import median
from time import perf_counter
from typing import Any, Literal

import numpy as np
from pandas import DataFrame

from stack.core.errors import StackError, nearest
from stack.project import Project
from stack.promotion.comparison import Comparison, compare, difference, due, slices
from stack.registry import artifacts
from stack.serving.served import ServedModel
from stack.specification import tasks
from stack.specification.specs import ProjectSpec
from stack.training import evaluation
from stack.training.evaluation import Judge, answers

SLICE_ROWS = 200
"""A slice with fewer holdout rows is not judged: its AUC is noise (standard deviation about 0.04)."""
TOLERANCE = 0.01
"""A challenger's mean loss may be greater by this share of the champion's, where project.yaml names no limit."""
COMPARED_ROWS = 500
"""A slice with fewer rows is not compared with the champion."""
LATENCY_CALLS = 200
AGAINST = " - champion's"
"""How the name of the reason ends that compares the losses."""
LEAKS = ("auc", "accuracy", "r2", "skill", "brier_skill")


@dataclass(frozen=True)
class Reason:
    """One limit, and what was found."""

    name: str
    found: float
    sign: Literal[">=", "<=", "<"]
    limit: float
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether the limit is met; NaN meets none."""
        return bool({">=": ge, "<=": le, "<": lt}[self.sign](self.found, self.limit))

    def __str__(self) -> str:
        note = f" ({self.note})" if self.note else ""
        return f"{self.name} {self.found:.4g} {'is' if self.ok else 'is not'} {self.sign} {self.limit:g}{note}"


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

    def answered(self, approved: bool, comment: str) -> Decision:
        """The decision together with a person's word."""
        return replace(self, reasons=(*self.reasons, Reason("a person's approval", float(approved), ">=", 1, comment)))

    def markdown(self) -> str:
        """A table for people."""
        head = f"Version {self.version} **{'passed' if self.passed else 'was refused'}**. {self.basis}\n\n"
        rows = (
            f"| {reason.name} | {reason.found:.4g} | {reason.sign} {reason.limit:g} | "
            f"{'ok' if reason.ok else '**no**'} | {reason.note} |"
            for reason in self.reasons
        )
        return head + "\n".join(["| | found | limit | | |", "|---|---|---|---|---|", *rows]) + "\n"

    @property
    def reason(self) -> str:
        """Why it passed or was refused, in one line."""
        if not self.passed:
            return "; ".join(str(reason) for reason in self.reasons if not reason.ok)
        if self.champion is None:
            return "the first version that passed the gate"
        return f"{next(str(reason) for reason in self.reasons if reason.name.endswith(AGAINST))}; {self.basis}"

    @property
    def numbers(self) -> dict[str, Any]:
        """The decision for machines."""
        reasons = [{**vars(reason), "ok": reason.ok} for reason in self.reasons]
        return {**vars(self), "reasons": reasons, "passed": self.passed}


def judge(
    spec: ProjectSpec,
    version: str,
    holdout: DataFrame,
    *,
    baseline: np.ndarray,
    served_difference: float,
    latency_ms: float,
    comparison: Comparison | None = None,
) -> Decision:
    """Hold a challenger's figures against the limits of ``gate`` in project.yaml.

    Args:
        holdout: the label, the answers and the columns of the slices.
        baseline: the constant answer, (outputs,), that fitted best the rows the model was fitted on.
        served_difference: largest difference between served and trained form.
        latency_ms: median time of one row through the served form.
        comparison: None when the project has no champion yet.
    """
    gate = spec.gate
    reasons = [
        *_limits(spec, holdout, baseline),
        *_slices(spec, holdout),
        *_against_champion(spec, comparison),
        Reason("served form", served_difference, "<=", gate.max_served_difference, "largest difference to the trained"),
        Reason("latency ms", latency_ms, "<=", gate.max_latency_ms, "median of one row"),
    ]
    basis = _basis(spec, comparison)
    return Decision(version, comparison.champion if comparison else None, basis, tuple(reasons))


def run(project: Project) -> Decision:
    """Judge the challenger; log ``gate/gate.json`` and ``gate/gate.md`` to its run, and tag the version.

    Raises:
        StackError: the project has no challenger.
    """
    version = project.registry.challenger()
    if version is None:
        raise StackError(
            f"model {project.spec.name}",
            found="no version with the alias challenger",
            expected="a challenger to judge",
            todo=f"make train PROJECT={project.spec.name}",
        )
    holdout, champion = artifacts.holdout(project.settings, version), project.registry.champion()
    with artifacts.folder(project.settings, version, "served") as folder:
        off, latency = served(project.spec, ServedModel(folder), artifacts.reference(project.settings, version))
    decision = judge(
        project.spec,
        version.version,
        holdout,
        baseline=np.asarray(json.loads(version.tag("stack.baseline"))),
        served_difference=off,
        latency_ms=latency,
        comparison=compare(project, version, holdout, champion) if champion else None,
    )
    files = {"gate.json": json.dumps(decision.numbers, indent=2).encode(), "gate.md": decision.markdown().encode()}
    artifacts.upload(project.settings, version, "gate", files)
    project.registry.tag(version, {"stack.gate": "passed" if decision.passed else "refused"})
    return decision


def _basis(spec: ProjectSpec, comparison: Comparison | None) -> str:
    if comparison is None:
        return "There is no champion to compare with."
    why = due(spec, comparison)
    return f"{comparison.basis} The champion is {f'due: {why}' if why else 'not due'}."


def _limits(spec: ProjectSpec, holdout: DataFrame, baseline: np.ndarray) -> Iterable[Reason]:
    found = Judge.of(spec).metrics(holdout[spec.label], answers(spec, holdout), baseline)
    for name, (least, most) in {**tasks.of(spec).skill_limits, **spec.gate.limits}.items():
        if name not in found:
            raise StackError(
                f"{spec.folder / 'project.yaml'}, key gate.limits",
                found=f"{name!r}{nearest(name, found)}",
                expected=f"a metric of a {spec.task} task: {', '.join(found)}",
                todo="name one of these",
            )
        if least is not None:
            yield Reason(name, found[name], ">=", least)
        if most is not None:
            yield Reason(name, found[name], "<=", most, "above this something leaks" if name in LEAKS else "")


def _slices(spec: ProjectSpec, holdout: DataFrame) -> Iterable[Reason]:
    judge = Judge.of(spec)
    metric = judge.headline[0]
    for column, limit in spec.gate.slices.items():
        sizes = holdout[column].astype(str).value_counts()
        for value, found in evaluation.slices(spec, holdout, column).items():
            if sizes[value] >= SLICE_ROWS:
                sign: Literal[">=", "<="] = ">=" if judge.rises(metric) else "<="
                yield Reason(f"{metric} of {column} {value}", found, sign, limit, f"{sizes[value]:,} rows")


def _against_champion(spec: ProjectSpec, comparison: Comparison | None) -> Iterable[Reason]:
    if comparison is None:
        return
    gate, found = spec.gate, difference(spec, comparison)
    name = f"{tasks.of(spec).loss.replace('_', '-')}{AGAINST}"
    limit = TOLERANCE * found.champion if gate.max_loss_increase is None else gate.max_loss_increase
    days = "" if spec.training.split == "random" else f" of {found.units} days"
    interval = f"{gate.interval:.0%} interval {found.low:+.4f} to {found.high:+.4f}"
    yield Reason(name, found.mean, "<=", limit, f"{found.rows:,} rows{days}, {interval}")
    if not due(spec, comparison):
        drawn = "rows" if spec.training.split == "random" else "days"
        note = f"nothing else asks for a new champion, so it must be better whichever {drawn} are drawn"
        yield Reason("interval's upper end", found.high, "<", 0.0, note)
    for column, value, worse, rows in slices(spec, comparison, COMPARED_ROWS):
        limit = gate.max_slice_loss_increase[column]
        yield Reason(f"{name}, {column} {value}", worse, "<=", limit, f"{rows:,} rows")


def served(spec: ProjectSpec, model: ServedModel, reference: DataFrame) -> tuple[float, float]:
    """Hold the served form against what the trained pipeline answered for the reference rows, and time one row.

    Returns:
        The largest difference of an answer, and the median milliseconds of one row.
    """
    found = model.predict({name: reference[name] for name in model.columns})
    row: dict[str, Any] = {name: [reference[name].iloc[0]] for name in model.columns}
    return tasks.of(spec).difference(found, answers(spec, reference)), median(
        _milliseconds(model, row) for _ in range(LATENCY_CALLS)
    )


def _milliseconds(model: ServedModel, row: dict[str, Any]) -> float:
    began = perf_counter()
    model.predict(row)
    return (perf_counter() - began) * 1000
