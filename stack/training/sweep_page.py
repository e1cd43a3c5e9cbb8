"""The page of a sweep: the results of its trials, and the importance of parameters. One HTML file with plotly.js."""

from collections.abc import Iterator
from html import escape
from typing import Any

import optuna
import plotly.graph_objects as go  # type: ignore[import-untyped]
from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from stack.training.evaluation import Scorer

MIN_TRIALS = 3
"""A candidate with fewer complete trials has no chart."""

STYLE = (
    "body{font-family:system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem}"
    "pre{background:#f4f4f4;overflow-x:auto;padding:1rem}"
)


def render(title: str, study: Study, scorer: Scorer, advice: str) -> str:
    """Return the page of a study whose trials have ``features``, ``candidate`` and ``<candidate>.<name>``."""
    figures = list(_figures(study, scorer))
    parts = [figure.to_html(full_html=False, include_plotlyjs=not at) for at, figure in enumerate(figures)]
    complete = len(_complete(study))
    every = complete + len(study.get_trials(deepcopy=False, states=(TrialState.PRUNED,)))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f'<p>{every} trials, {every - complete} of them pruned. <a href="./">All reports</a></p>'
        "<p>To start a training from the best trial:</p>"
        f"<pre>{escape(advice)}</pre>{''.join(parts)}</body></html>"
    )


def _figures(study: Study, scorer: Scorer) -> Iterator[go.Figure]:
    trials = _complete(study)

    def value(trial: FrozenTrial) -> float:
        return scorer.sign * float(trial.value or 0.0)

    shown: dict[str, Any] = {"target": value, "target_name": scorer.objective}
    overview = go.Figure()
    for features in sorted({trial.params["features"] for trial in trials}):
        group = [trial for trial in trials if trial.params["features"] == features]
        overview.add_box(
            x=[trial.params["candidate"] for trial in group],
            y=[value(trial) for trial in group],
            text=[f"trial {trial.number}" for trial in group],
            name=features,
            boxpoints="all",
        )
    yield overview.update_layout(
        title="Candidates and feature sets", boxmode="group", yaxis_title=scorer.objective, xaxis_title="candidate"
    )
    yield optuna.visualization.plot_optimization_history(study, **shown)
    for name in sorted({trial.params["candidate"] for trial in trials}):
        part = _of_candidate(study, name)
        params = sorted({param for trial in _complete(part) for param in trial.params})
        if params in ([], ["features"]) or len(_complete(part)) < MIN_TRIALS:
            continue
        lines = optuna.visualization.plot_parallel_coordinate(part, params, **shown)
        yield lines.update_layout(title=f"{name}: every trial is a line")
        if len({trial.value for trial in _complete(part)}) > 1:
            bars = optuna.visualization.plot_param_importances(part, params=params)
            yield bars.update_layout(title=f"{name}: importance of each parameter")


def _of_candidate(study: Study, candidate: str) -> Study:
    """Return the complete trials of a candidate, with those of its parameters that took several values."""
    trials = [trial for trial in _complete(study) if trial.params["candidate"] == candidate]
    names = {
        name for trial in trials for name in trial.params if name == "features" or name.startswith(f"{candidate}.")
    }
    varied = [name for name in names if len({trial.params.get(name) for trial in trials}) > 1]
    part = optuna.create_study(direction=study.direction)
    for trial in trials:
        short = {name: name.removeprefix(f"{candidate}.") for name in varied if name in trial.params}
        params = {label: trial.params[name] for name, label in short.items()}
        kinds = {label: trial.distributions[name] for name, label in short.items()}
        part.add_trial(optuna.trial.create_trial(value=trial.value, params=params, distributions=kinds))
    return part


def _complete(study: Study) -> list[FrozenTrial]:
    trials: list[FrozenTrial] = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return trials
