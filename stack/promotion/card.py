"""The card of a version: what it is for, what it was made of, how good it is, and what it rests on.

After Mitchell et al. (2019), Model Cards for Model Reporting, arXiv:1810.03993.
"""

from __future__ import annotations

import base64
import json
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader
from markdown_it import MarkdownIt
from pandas import DataFrame

from stack.core import files, pages
from stack.project import Project
from stack.promotion import reliability
from stack.promotion.gate import Decision
from stack.registry import artifacts
from stack.registry.registry import Version
from stack.serving.served import read_ranges
from stack.specification import class_sets, example, tasks
from stack.specification.specs import ProjectSpec
from stack.training import evaluation
from stack.training.calibration import Calibration
from stack.training.evaluation import Scorer

FOLDER, MARKDOWN, PAGE = "card", "card.md", "card.html"
TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    trim_blocks=True,
    lstrip_blocks=True,
    autoescape=False,  # noqa: S701  # Markdown; the page escapes what it holds
    keep_trailing_newline=True,
)
STYLE = (
    "body{font-family:system-ui,sans-serif;line-height:1.5;margin:2rem auto;max-width:60rem;padding:0 1rem}"
    "table{border-collapse:collapse;display:block;overflow-x:auto}td,th{border-bottom:1px solid #8886;padding:.2rem "
    ".8rem .2rem 0;text-align:left}img{max-width:100%;background:#fff}code{overflow-wrap:anywhere}"
    ":root{color-scheme:light dark}"
)
SHOWN = 15
"""Features whose importance is listed."""
PLOTS = {
    "calibration": "Calibration",
    "roc": "ROC curve",
    "confusion": "Confusion",
    "predicted": "Predicted and true values",
    "steps": "Error by step",
    "backtest": "End of the backtest",
    "cost": "Cost by threshold",
    "dependence": "Partial dependence",
    "importance": "Importance",
}
"""Plot of a run -> its title; those that the run has are shown."""


def write(project: Project, decision: Decision) -> str:
    """Write the card into the version's run, ``card/card.md`` and ``card/card.html``, and beside the reports.

    Returns:
        Its address.
    """
    version = project.registry.numbered(decision.version)
    text = markdown(project, version, decision)
    plots = {} if version.imported else _plots(project, version)
    page = html(f"{version.name}, version {version.version}", text, plots)
    artifacts.upload(project.settings, version, FOLDER, {MARKDOWN: text.encode(), PAGE: page.encode()})
    shelf = project.settings.pages / project.name
    files.write(shelf / pages.card(version.version), page)
    return f"{project.settings.link('portal')}/reports/{project.name}/{pages.card(version.version)}"


def markdown(project: Project, version: Version, decision: Decision) -> str:
    """Return the card as Markdown."""
    spec, settings = project.spec, project.settings
    holdout, importance, recipe = artifacts.holdout(settings, version), DataFrame(), {}
    if not version.imported:
        importance = _importance(project, version)
        with artifacts.folder(settings, version, "recipe") as folder:
            recipe = json.loads((folder / "recipe.json").read_text())
    with artifacts.folder(settings, version, artifacts.SERVED) as folder:
        ranges = read_ranges(folder)
    features = [(name, kind, _range(ranges.get(name))) for name, kind in spec.features.columns.items()]
    return TEMPLATES.get_template("card.md.jinja").render(
        spec=spec,
        task=tasks.of(spec),
        version=version,
        recipe=recipe,
        calibration=_calibration(recipe),
        interval=interval_text(spec, holdout),
        decision=decision,
        metrics=_metrics(project, version, holdout) if len(holdout) else [],
        slices=[(column, evaluation.slices(spec, holdout, column)) for column in spec.gate.slices],
        metric=Scorer.of(spec).headline[0],
        reliability=reliability.of_rows(project, holdout, bins=5),
        held_out=len(holdout),
        importance=[*importance.head(SHOWN).itertuples(index=False)],
        features=features,
        request=example.body(spec),
    )


def html(title: str, text: str, plots: dict[str, bytes]) -> str:
    """Return a card as one page that needs no other file."""
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    encoded = {PLOTS[name]: base64.b64encode(image).decode() for name, image in plots.items()}
    pictures = "".join(
        f'<h2>{name}</h2><img alt="{name}" src="data:image/png;base64,{image}">' for name, image in encoded.items()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head><body>{body}{pictures}</body></html>"
    )


def _plots(project: Project, version: Version) -> dict[str, bytes]:
    with artifacts.folder(project.settings, version, "plots") as folder:
        return {name: (folder / f"{name}.png").read_bytes() for name in PLOTS if (folder / f"{name}.png").exists()}


def _importance(project: Project, version: Version) -> DataFrame:
    content = artifacts.file(project.settings, version, "importance.csv")
    return pd.read_csv(BytesIO(content))


def _metrics(project: Project, version: Version, holdout: DataFrame) -> list[tuple[str, float, float, float]]:
    """Return the headline metrics that the holdout defines, each with its interval."""
    spec, scorer = project.spec, Scorer.of(project.spec)
    baseline = np.asarray(json.loads(version.tag("stack.baseline")))
    values = scorer.metrics(holdout[spec.label].to_numpy(np.float64), evaluation.answers(spec, holdout), baseline)
    bounds = evaluation.intervals(spec, holdout, baseline)
    return [(name, values[name], *bounds[name]) for name in scorer.headline if np.isfinite(values.get(name, np.nan))]


def _calibration(recipe: dict[str, Any]) -> str:
    """Describe the calibration that a training has chosen; empty where it tried none."""
    gain = recipe.get("calibration_gain")
    return "" if gain is None else str(Calibration(recipe["calibration"], gain))


def interval_text(spec: ProjectSpec, holdout: DataFrame) -> str:
    """Describe the intervals, or sets of classes, of the held-out rows; empty without."""
    task = tasks.of(spec)
    if not task.ends or holdout.empty or not {*task.ends} <= {*holdout}:
        return ""
    if task.numeric:
        width = (holdout[task.ends[1]] - holdout[task.ends[0]]).mean()
        return f"intervals {width:.4g} wide, in the mean, hold the outcome with {spec.interval:.0%}"
    sizes = class_sets.members(holdout[[*task.outputs]], holdout[tasks.CORRECTION]).sum(axis=1)
    sets = f"sets of {sizes.mean():.2f} of {len(task.classes)} classes, in the mean"
    return f"{sets}, hold the outcome with {spec.interval:.0%}"


def _range(ends: Any) -> str:
    return f"{ends[0]:.6g} to {ends[1]:.6g}" if ends else ""
