"""The page of a sweep: which trials did well, and which parameters mattered. One HTML file, plotly.js inside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import escape

import optuna
import plotly.graph_objects as go  # type: ignore[import-untyped]
from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from stack.training.evaluation import Judge

FEW = 3
"""Fewer whole trials of a candidate are not worth a picture."""

STYLE = "body{font-family:system-ui,sans-serif;margin:2rem auto;max-width:76rem}pre{background:#f4f4f4;padding:1rem}"


def page(title: str, study: Study, judge: Judge, advice: str) -> str:
    """Make the page of a study whose trials have drawn ``features``, ``candidate`` and ``<candidate>.<name>``."""
    figures = list(_figures(study, judge))
    parts = [figure.to_html(full_html=False, include_plotlyjs=not at) for at, figure in enumerate(figures)]
    whole = len(_whole(study))
    every = whole + len(study.get_trials(deepcopy=False, states=(TrialState.PRUNED,)))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f"<p>{every} trials, {every - whole} of them given up early. The best, as a training begins there:</p>"
        f"<pre>{escape(advice)}</pre>{''.join(parts)}</body></html>"
    )


def _figures(study: Study, judge: Judge) -> Iterator[go.Figure]:
    yield _overview(study, judge)
    yield optuna.visualization.plot_optimization_history(study, target=_shown(judge), target_name=judge.aim)
    for name in sorted({one.params["candidate"] for one in _whole(study)}):
        params = _params(study, name)
        if not params or sum(one.params["candidate"] == name for one in _whole(study)) < FEW:
            continue
        wanted = ["features", *params] if len({one.params["features"] for one in _whole(study)}) > 1 else params
        lines = optuna.visualization.plot_parallel_coordinate(
            study, wanted, target=_shown(judge), target_name=judge.aim
        )
        yield lines.update_layout(title=f"{name}: every trial is a line")
        if len({one.value for one in _whole(study) if one.params["candidate"] == name}) > 1:
            bars = optuna.visualization.plot_param_importances(study, params=wanted)
            yield bars.update_layout(title=f"{name}: how much each parameter matters")


def _overview(study: Study, judge: Judge) -> go.Figure:
    """Every whole trial, by candidate and feature set."""
    figure = go.Figure()
    for chosen in sorted({one.params["features"] for one in _whole(study)}):
        mine = [one for one in _whole(study) if one.params["features"] == chosen]
        figure.add_box(
            x=[one.params["candidate"] for one in mine],
            y=[_shown(judge)(one) for one in mine],
            text=[f"trial {one.number}" for one in mine],
            name=chosen,
            boxpoints="all",
        )
    return figure.update_layout(
        title="Candidates and feature sets", boxmode="group", yaxis_title=judge.aim, xaxis_title="candidate"
    )


def _params(study: Study, candidate: str) -> list[str]:
    """The parameters of a candidate that took more than one value."""
    mine = [one.params for one in _whole(study) if one.params["candidate"] == candidate]
    names = sorted({name for params in mine for name in params if name.startswith(f"{candidate}.")})
    return [name for name in names if len({params.get(name) for params in mine}) > 1]


def _shown(judge: Judge) -> Callable[[FrozenTrial], float]:
    """What a trial reached, in the metric's own sign."""

    def value(one: FrozenTrial) -> float:
        return judge.sign * float(one.value or 0.0)

    return value


def _whole(study: Study) -> list[FrozenTrial]:
    found: list[FrozenTrial] = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return found
