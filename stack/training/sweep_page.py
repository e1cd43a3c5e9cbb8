"""The page of a sweep: which trials did well, and which parameters mattered. One HTML file, plotly.js inside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import escape

import optuna
import plotly.graph_objects as go  # type: ignore[import-untyped]
from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from stack.training.evaluation import Scorer

FEW = 3
"""Fewer whole trials of a candidate are not worth a picture."""

STYLE = (
    "body{font-family:system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem}"
    "pre{background:#f4f4f4;overflow-x:auto;padding:1rem}"
)


def render(title: str, study: Study, scorer: Scorer, advice: str) -> str:
    """Make the page of a study whose trials have drawn ``features``, ``candidate`` and ``<candidate>.<name>``."""
    figures = list(_figures(study, scorer))
    parts = [figure.to_html(full_html=False, include_plotlyjs=not at) for at, figure in enumerate(figures)]
    whole = len(_whole(study))
    every = whole + len(study.get_trials(deepcopy=False, states=(TrialState.PRUNED,)))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f'<p>{every} trials, {every - whole} of them given up early. <a href="./">All reports</a></p>'
        "<p>The best, as a training begins there:</p>"
        f"<pre>{escape(advice)}</pre>{''.join(parts)}</body></html>"
    )


def _figures(study: Study, scorer: Scorer) -> Iterator[go.Figure]:
    yield _overview(study, scorer)
    yield optuna.visualization.plot_optimization_history(study, target=_shown(scorer), target_name=scorer.objective)
    for name in sorted({one.params["candidate"] for one in _whole(study)}):
        own = _own(study, name)
        params = sorted({param for one in _whole(own) for param in one.params})
        if params in ([], ["features"]) or len(_whole(own)) < FEW:
            continue
        lines = optuna.visualization.plot_parallel_coordinate(
            own, params, target=_shown(scorer), target_name=scorer.objective
        )
        yield lines.update_layout(title=f"{name}: every trial is a line")
        if len({one.value for one in _whole(own)}) > 1:
            bars = optuna.visualization.plot_param_importances(own, params=params)
            yield bars.update_layout(title=f"{name}: how much each parameter matters")


def _overview(study: Study, scorer: Scorer) -> go.Figure:
    """Every whole trial, by candidate and feature set."""
    figure = go.Figure()
    for chosen in sorted({one.params["features"] for one in _whole(study)}):
        mine = [one for one in _whole(study) if one.params["features"] == chosen]
        figure.add_box(
            x=[one.params["candidate"] for one in mine],
            y=[_shown(scorer)(one) for one in mine],
            text=[f"trial {one.number}" for one in mine],
            name=chosen,
            boxpoints="all",
        )
    return figure.update_layout(
        title="Candidates and feature sets", boxmode="group", yaxis_title=scorer.objective, xaxis_title="candidate"
    )


def _own(study: Study, candidate: str) -> Study:
    """The whole trials of a candidate alone, with those of its parameters that took more than one value."""
    mine = [one for one in _whole(study) if one.params["candidate"] == candidate]
    names = {name for one in mine for name in one.params if name == "features" or name.startswith(f"{candidate}.")}
    wanted = [name for name in names if len({one.params.get(name) for one in mine}) > 1]
    made = optuna.create_study(direction=study.direction)
    for one in mine:
        there = {name: name.removeprefix(f"{candidate}.") for name in wanted if name in one.params}
        params = {short: one.params[name] for name, short in there.items()}
        kinds = {short: one.distributions[name] for name, short in there.items()}
        made.add_trial(optuna.trial.create_trial(value=one.value, params=params, distributions=kinds))
    return made


def _shown(scorer: Scorer) -> Callable[[FrozenTrial], float]:
    """What a trial reached, in the metric's own sign."""

    def value(one: FrozenTrial) -> float:
        return scorer.sign * float(one.value or 0.0)

    return value


def _whole(study: Study) -> list[FrozenTrial]:
    found: list[FrozenTrial] = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return found
