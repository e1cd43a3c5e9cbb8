"""The gate: the limits that a challenger must meet before it goes live.

:func:`judge` decides from figures alone; :func:`run` collects the figures, and logs the decision to the challenger's
run.

Against a champion, on the same most recent labelled rows that neither was fitted on:

- the mean loss may not rise by more than ``max_loss_increase``, nor in a slice by more than
  ``max_slice_loss_increase``. By default it may by the standard error of the difference: of two models that are as
  good, one is behind by chance on a small sample (the one-standard-error rule, Breiman et al. 1984, section 3.4.3);
- and it must be significantly lower, by the bootstrap interval over days (random split: over rows), unless the champion
  is due for replacement: older than ``monitoring.max_age``, or with a bias above ``monitoring.max_bias`` on these rows.
  A due champion is replaced by a challenger that is not worse: to require a significant gain blocks good successors, as
  28 days seldom show one (on the flights the interval is +-0.008 wide, and the gain of a retraining 0.003).

A forecast is better than the best one that needs no model (:mod:`stack.promotion.naive`), and, unless it replaces a due
champion, significantly so.

What passes although columns of it give the outcome away (:mod:`stack.promotion.leaks`) goes live only when a person
approves it; the same columns are approved once.
"""

import json
import timeit
from collections.abc import Iterable
from dataclasses import dataclass
from operator import ge, le, lt
from statistics import median
from typing import Any, Literal, Self

import numpy as np
from pandas import DataFrame

from stack.core.errors import StackError, nearest
from stack.project import Project
from stack.promotion import decisions, leaks, naive
from stack.promotion.comparison import ChampionComparison, compare, difference, due, slices
from stack.promotion.decisions import Judgement
from stack.promotion.leaks import Leak
from stack.registry import artifacts
from stack.serving.served import ServedModel
from stack.specification import forecasts, tasks
from stack.specification.specs import ProjectSpec
from stack.training import evaluation
from stack.training.evaluation import Scorer, answers

SLICE_ROWS = 200
"""A slice with fewer holdout rows is left out: its AUC is noise (standard deviation about 0.04)."""
TOLERANCE = 0.01
"""Least default limit of the increase of the mean loss, as a share of the champion's."""
COMPARED_ROWS = 500
"""A slice with fewer rows is not compared with the champion."""
LATENCY_CALLS = 200
LEAKS = ("auc", "accuracy", "r2", "skill", "brier_skill")
"""Metrics whose upper limit is there to catch target leakage."""
Sign = Literal[">=", "<=", "<"]
Kind = Literal["metric", "slice", "naive", "loss", "interval", "slice loss", "served form", "latency", "approval"]


@dataclass(frozen=True)
class LimitCheck:
    """A limit, and the value that is compared with it."""

    kind: Kind
    name: str
    found: float
    sign: Sign
    limit: float
    note: str = ""

    @property
    def ok(self) -> bool:
        """Return whether the limit is met; NaN meets none."""
        return bool({">=": ge, "<=": le, "<": lt}[self.sign](self.found, self.limit))

    def __str__(self) -> str:
        note = f" ({self.note})" if self.note else ""
        return f"{self.name} {self.found:.4g} {'is' if self.ok else 'is not'} {self.sign} {self.limit:g}{note}"


@dataclass(frozen=True)
class Decision(Judgement):
    """Whether a version passed the gate; ``numbers`` holds all of it for machines."""

    basis: str
    """The rows of the comparison, and whether the champion is due, in a sentence."""
    reasons: tuple[LimitCheck, ...]
    leaks: tuple[Leak, ...] = ()
    """What gives the outcome away; a person has to approve it."""

    @classmethod
    def of(
        cls,
        version: str,
        champion: str | None,
        basis: str,
        reasons: Iterable[LimitCheck],
        leaks: tuple[Leak, ...] = (),
    ) -> Self:
        """Decide by the limits: all must be met."""
        checks = tuple(reasons)
        missed = "; ".join(str(check) for check in checks if not check.ok)
        loss = next((check for check in checks if check.kind == "loss"), None)
        summary = missed or (f"{loss}; {basis}" if loss else "")
        summary = summary or (basis if champion else "the first version that passed the gate")
        details = [{**vars(check), "ok": check.ok} for check in checks]
        facts: dict[str, Any] = {"version": version, "champion": champion, "basis": basis}
        facts["leaks"] = [{"columns": list(leak.columns), "how": leak.how} for leak in leaks]
        numbers = {**facts, "reasons": details, "passed": not missed}
        return cls(version, champion, summary, numbers, basis, checks, leaks)

    @property
    def passed(self) -> bool:
        """Return whether every limit is met."""
        return all(reason.ok for reason in self.reasons)

    @property
    def suspicion(self) -> str:
        """Return which columns give the outcome away, and how; empty when none does."""
        return " ".join(f"{leak}." for leak in self.leaks)

    def answered(self, approved: bool, comment: str) -> Self:
        """Return the decision with a person's approval or refusal."""
        approval = LimitCheck("approval", "a person's approval", float(approved), ">=", 1, comment)
        return self.of(self.version, self.champion, self.basis, (*self.reasons, approval), self.leaks)

    def markdown(self) -> str:
        """Return the limits as a table for people."""
        head = f"Version {self.version} **{'passed' if self.passed else 'was refused'}**. {self.basis}\n\n"
        if self.leaks:
            head += f"**Too good to be true, so a person decides.** {self.suspicion}\n\n"
        rows = (
            f"| {reason.name} | {reason.found:.4g} | {reason.sign} {reason.limit:g} | "
            f"{'ok' if reason.ok else '**no**'} | {reason.note} |"
            for reason in self.reasons
        )
        return head + "\n".join(["| | found | limit | | |", "|---|---|---|---|---|", *rows]) + "\n"


def judge(
    spec: ProjectSpec,
    version: str,
    holdout: DataFrame,
    *,
    baseline: np.ndarray,
    served_difference: float,
    latency_ms: float,
    comparison: ChampionComparison | None = None,
    champion: str | None = None,
    suspected: tuple[Leak, ...] = (),
) -> Decision:
    """Hold a challenger's figures against the limits of ``gate`` in project.yaml.

    Args:
        holdout: the label, the answers and the columns of the slices; without rows, it limits nothing.
        baseline: the constant answer, (outputs,), that fits best the rows of the model's fit.
        served_difference: largest difference between served and trained form.
        latency_ms: median time of a row through the served form.
        comparison: None when the project has no champion yet, or no rows to compare it on.
        champion: the version that is live, where it is not compared.
        suspected: what gives the outcome away.
    """
    off, slow = spec.gate.max_served_difference, spec.gate.max_latency_ms
    labelled = [*_limits(spec, holdout, baseline), *_slices(spec, holdout)] if len(holdout) else []
    reasons = [
        *labelled,
        *_against_naive(spec, holdout, certain=comparison is None or not due(spec, comparison)),
        *(_against_champion(spec, comparison) if comparison else ()),
        LimitCheck("served form", "served form", served_difference, "<=", off, "largest difference to the trained"),
        LimitCheck("latency", "latency ms", latency_ms, "<=", slow, "median of one row"),
    ]
    if holdout.empty:
        basis = "It was imported, and no labelled rows judge it: it goes live as it is."
        return Decision.of(version, champion, basis, reasons, suspected)
    if comparison is None:
        metric = Scorer.of(spec).headline[0]
        low, high = evaluation.intervals(spec, holdout, baseline)[metric]
        bounds = f"{metric} lies between {low:.4g} and {high:.4g} in nine of ten cases"
        basis = f"There is no champion to compare with. On {len(holdout):,} held-out rows, {bounds}."
        return Decision.of(version, None, basis, reasons, suspected)
    why = due(spec, comparison)
    basis = f"{comparison.basis} The champion is {f'due for replacement: {why}' if why else 'current'}."
    return Decision.of(version, comparison.champion, basis, reasons, suspected)


def run(project: Project) -> Decision:
    """Evaluate the challenger; log ``gate/gate.json`` and ``gate/gate.md`` to its run, and tag the version.

    Raises:
        StackError: the project has no challenger.
    """
    version = project.registry.challenger()
    if version is None:
        found, todo = "no version with the alias challenger", f"make train PROJECT={project.name}"
        raise StackError(f"model {project.name}", found=found, expected="a challenger to evaluate", todo=todo)
    holdout, champion = artifacts.holdout(project.settings, version), project.registry.champion()
    with artifacts.folder(project.settings, version, "served") as folder:
        reference = artifacts.reference(project.settings, version)
        model = ServedModel(folder)
        off, latency = served(project.spec, model, reference)
    decision = judge(
        project.spec.with_threshold(model.threshold),
        version.version,
        holdout,
        baseline=np.asarray(json.loads(version.tag("stack.baseline"))),
        served_difference=off,
        latency_ms=latency,
        comparison=compare(project, version, holdout, champion) if champion and len(holdout) else None,
        champion=champion.version if champion else None,
        suspected=unapproved(project, reference),
    )
    files = {"gate.json": json.dumps(decision.numbers, indent=2).encode(), "gate.md": decision.markdown().encode()}
    artifacts.upload(project.settings, version, "gate", files)
    project.registry.tag(version, {"stack.gate": "passed" if decision.passed else "refused"})
    return decision


def unapproved(project: Project, reference: DataFrame) -> tuple[Leak, ...]:
    """Return what gives the outcome away in rows of a training, and has gone live with no approved version."""
    spec = project.spec
    rows = reference.sort_values("event_timestamp", kind="stable", ignore_index=True)
    by_time, task = spec.training.split == "time", tasks.of(spec)
    # The past of a series may tell its next value.
    columns = [name for name in spec.column_types(*leaks.KINDS) if not spec.forecast or name in forecasts.inputs(spec)]
    found = leaks.find(rows[columns], rows[spec.label], classes=bool(task.classes), by_time=by_time)
    entries = [entry for entry in decisions.entries(project) if entry.kind in ("promote", "canary")] if found else []
    approved = [set(leak["columns"]) for entry in entries for leak in entry.numbers.get("leaks", ())]
    return tuple(leak for leak in found if set(leak.columns) not in approved)


def _limits(spec: ProjectSpec, holdout: DataFrame, baseline: np.ndarray) -> Iterable[LimitCheck]:
    metrics = Scorer.of(spec).metrics(holdout[spec.label], answers(spec, holdout), baseline)
    for name, (least, most) in {**tasks.of(spec).skill_limits, **spec.gate.limits}.items():
        if name not in metrics:
            raise StackError(
                spec.place("gate.limits"),
                found=f"{name!r}{nearest(name, metrics)}",
                expected=f"a metric of a {spec.task} task: {', '.join(metrics)}",
                todo="name one of these",
            )
        if least is not None:
            yield LimitCheck("metric", name, metrics[name], ">=", least)
        if most is not None:
            note = "a higher value suggests target leakage" if name in LEAKS else ""
            yield LimitCheck("metric", name, metrics[name], "<=", most, note)
    if spec.costs and spec.gate.metric == "cost":
        constant = spec.costs.without_model(float(holdout[spec.label].mean()))
        yield LimitCheck("metric", "cost", metrics["cost"], "<=", constant, "the best constant decision")


def _slices(spec: ProjectSpec, holdout: DataFrame) -> Iterable[LimitCheck]:
    scorer = Scorer.of(spec)
    metric = scorer.headline[0]
    for column, limit in spec.gate.slices.items():
        sizes = holdout[column].astype(str).value_counts()
        for value, score in evaluation.slices(spec, holdout, column).items():
            if sizes[value] >= SLICE_ROWS:
                sign: Sign = ">=" if scorer.greater_is_better(metric) else "<="
                yield LimitCheck("slice", f"{metric} of {column} {value}", score, sign, limit, f"{sizes[value]:,} rows")


def _against_naive(spec: ProjectSpec, holdout: DataFrame, *, certain: bool) -> Iterable[LimitCheck]:
    """Hold the answers against the best forecast that needs no model; `certain`: with its interval."""
    for best in naive.compare(spec, holdout)[:1]:
        error, change = best.error + best.difference.mean, best.difference
        limit = (1 - naive.MARGIN) * best.error
        note = f"{best.name} has {best.error:.4g}, on {change.rows:,} rows of a rolling backtest"
        yield LimitCheck("naive", f"{tasks.of(spec).loss} against {best.name}", error, "<", limit, note)
        if certain and np.isfinite(change.high):
            note = f"{spec.gate.interval:.0%} interval, {change.low:+.4g} to {change.high:+.4g}, of {change.units} days"
            yield LimitCheck("naive", f"interval against {best.name}", change.high, "<", 0.0, note)


def _against_champion(spec: ProjectSpec, comparison: ChampionComparison) -> Iterable[LimitCheck]:
    gate, change = spec.gate, difference(spec, comparison)
    metric = tasks.of(spec).loss if gate.metric == "loss" else gate.metric
    name = f"{metric.replace('_', '-')} - champion's"
    by_chance = float(np.fmax(TOLERANCE * change.champion, change.error))
    limit, unit = by_chance if gate.max_loss_increase is None else gate.max_loss_increase, spec.training.unit
    days = "" if unit == "rows" else f" of {change.units} {unit}"
    interval = f"{gate.interval:.0%} interval {change.low:+.4f} to {change.high:+.4f}"
    yield LimitCheck("loss", name, change.mean, "<=", limit, f"{change.rows:,} rows{days}, {interval}")
    if not due(spec, comparison):
        note = f"champion is current: challenger must be significantly better (paired bootstrap over {unit})"
        yield LimitCheck("interval", "interval's upper end", change.high, "<", 0.0, note)
    for column, value, worse, rows in slices(spec, comparison, COMPARED_ROWS):
        limit = gate.max_slice_loss_increase[column]
        yield LimitCheck("slice loss", f"{name}, {column} {value}", worse, "<=", limit, f"{rows:,} rows")


def served(spec: ProjectSpec, model: ServedModel, reference: DataFrame) -> tuple[float, float]:
    """Compare the served form with the trained pipeline's predictions for the reference rows, and time a row.

    Returns:
        The largest difference of a prediction, and the median milliseconds of a row.
    """
    predicted = model.predict({name: reference[name] for name in model.columns})
    row: dict[str, Any] = {name: [reference[name].iloc[0]] for name in model.columns}
    seconds = timeit.repeat(lambda: model.answer(row), number=1, repeat=LATENCY_CALLS)
    return tasks.of(spec).difference(predicted, answers(spec, reference)), 1000 * median(seconds)
