"""What monitoring needs of Evidently beyond its public API, each reach in one place.

``docs/upgrading-tools.md`` is generated from the docstrings; ``tests/monitoring/test_compat.py`` says what has changed.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from evidently import Dataset, metrics
from evidently.core.metric_types import SingleValue, SingleValueCalculation
from evidently.core.report import Context, Snapshot
from evidently.legacy.calculations.stattests.registry import StatTest, register_stattest
from evidently.legacy.core import ColumnType
from evidently.legacy.metrics import DataDriftTable
from evidently.legacy.metrics.data_drift.dataset_drift_metric import DatasetDriftMetricResults
from evidently.legacy.renderers.html_widgets import CounterData, WidgetSize, counter, plotly_figure
from evidently.presets import DataDriftPreset
from plotly.graph_objects import Figure  # type: ignore[import-untyped]
from typing_extensions import override

from stack.core import files

SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
DATA = re.compile(r"^    var (additional_graphs_)?metric_\w+ = \{.*\};$", re.MULTILINE)
DATA_LINES = 2
LIBRARY = 1_000_000
"""Characters; a script of the body that is longer is the same in every page."""


def link_library(html: str, link: Callable[[str], str]) -> str:
    """Replace the inlined JavaScript library of a report page by a link.

    Tool: Evidently
    Reach: evidently.core.report.Snapshot.get_html_str
    Why: a page contains the whole library, 3.5 of 5 MB, as a script of its body; the data are in its head.
    Upstream: none known

    Args:
        html: the page.
        link: receives the library, and returns the address that replaces it.
    """
    head, mark, body = html.partition("<body>")

    def replace(script: re.Match[str]) -> str:
        return script[0] if len(script[1]) < LIBRARY else f'<script src="{link(script[1])}"></script>'

    return head + mark + SCRIPT.sub(replace, body)


def escape_data(html: str) -> str:
    """Keep the values in a report page from ending its script, in which they stand as JSON.

    Tool: Evidently
    Reach: evidently.legacy.utils.dashboard.file_html_template
    Why: a category is what some caller has sent, and the page holds it as it came, </script> and all.
    Upstream: none known

    Raises:
        ValueError: the data are not where they were, and are not shown unescaped.
    """
    escaped, lines = DATA.subn(lambda line: line[0].replace("<", r"\u003c"), html, count=DATA_LINES)
    if lines != DATA_LINES:
        raise ValueError(f"Evidently's page has {lines} lines of data, expected {DATA_LINES}")
    return escaped


def slim(snapshot: Snapshot) -> dict[str, Any]:
    """Return a snapshot's stored form without what the UI never draws.

    Tool: Evidently
    Reach: evidently.core.report.Snapshot.dump_dict
    Why: the UI keeps every snapshot in memory. Each metric's widgets stand in the report's widgets once more, and each
    figure carries Plotly's whole default template: four fifths of the size.
    Upstream: none known
    """
    model: dict[str, Any] = snapshot.dump_dict()
    for result in model["metric_results"].values():
        result["widget"] = []
    model["widgets"] = _without_templates(model["widgets"])
    return model


def _without_templates(part: Any) -> Any:
    if isinstance(part, dict):
        return {key: _without_templates(value) for key, value in part.items() if key != "template"}
    return [_without_templates(value) for value in part] if isinstance(part, list) else part


def stored_files(project: Path, run: UUID) -> dict[str, bytes]:
    """Read the files that a local workspace has written for a project and one of its runs.

    Tool: Evidently
    Reach: evidently.ui.service.storage.local.base
    Why: a workspace can write into a folder, and has no way to copy a project or run into another one.
    Upstream: none known

    Returns:
        "metadata.json", "dashboard.json" and "snapshot" -> content.
    """
    content = {name: (project / name).read_bytes() for name in ("metadata.json", "dashboard.json")}
    return content | {"snapshot": (project / "snapshots" / f"{run}.json").read_bytes()}


def publish(workspace: Path, content: bytes, target: Path) -> None:
    """Put a complete file into a local workspace so that a running UI loads it.

    Tool: Evidently
    Reach: evidently.ui.service.storage.local.watcher.WorkspaceDirHandler
    Why: Evidently's writer has no lock and writes in place, and one half-written file keeps the UI from starting. Its
    watcher ignores a rename within the workspace and takes a new link for a creation, so a former file is removed
    first; killed in between, the next run makes it again. The watcher fails on a project folder that is gone before it
    looks, so nothing is staged as one in the workspace.
    Upstream: https://github.com/evidentlyai/evidently/pull/1173
    """
    staged = workspace / ".staged"
    files.write(staged, content, durable=True)
    target.unlink(missing_ok=True)
    target.hardlink_to(staged)
    staged.unlink()


class ValueDrift(metrics.ValueDrift):  # type: ignore[misc]
    """Pass a column's drift score on as Evidently's metric of this name.

    Tool: Evidently
    Reach: evidently.metrics.ValueDrift
    Why: the UI finds metrics by the name of their class, so this one must have the name of Evidently's own, which
    compares and draws each column a second time after the table of all columns.
    Upstream: none known
    """

    score: float


class ValueDriftCalculation(SingleValueCalculation[ValueDrift]):  # type: ignore[misc]
    """Pass the score on."""

    @override
    def calculate(self, context: Context, current_data: Dataset, reference_data: Dataset | None) -> SingleValue:
        return self.result(self.metric.score)

    @override
    def display_name(self) -> str:
        return f"Value drift for {self.metric.column}"


def drift_table_scores(
    context: Context, preset: DataDriftPreset, count: metrics.DriftedColumnsCount
) -> dict[str, float]:
    """Return each column's score from the table that the preset draws, and let the count of drifted columns be its own.

    Tool: Evidently
    Reach: evidently.core.report.Context.get_legacy_metric, which keeps the result of evidently.legacy's DataDriftTable
    and of DatasetDriftMetric, and legacy_metric of the count's calculation
    Why: the table is a metric of the old API, computed once a report; the preset gives no access to its result, and
    comparing each column again, for its score or for the count, takes a quarter of a report's time or doubles it.
    Upstream: https://github.com/evidentlyai/evidently/issues/1526
    """
    wanted = DataDriftTable(
        columns=preset.columns,
        num_stattest=preset.num_method,
        cat_stattest=preset.cat_method,
        stattest_threshold=preset.threshold,
    )
    table, _ = context.get_legacy_metric(wanted, None, None)
    counted = count.to_calculation().legacy_metric()
    result = DatasetDriftMetricResults(
        drift_share=counted.drift_share,
        number_of_columns=table.number_of_columns,
        number_of_drifted_columns=table.number_of_drifted_columns,
        share_of_drifted_columns=table.share_of_drifted_columns,
        dataset_drift=bool(table.share_of_drifted_columns >= counted.drift_share),
    )
    object.__setattr__(counted, "calculate", lambda _: result)
    context.get_legacy_metric(counted, None, None)
    return {column: drift.drift_score for column, drift in table.drift_by_columns.items()}


def drift_scores(snapshot: Snapshot) -> dict[str, float]:
    """Return the drift score of each compared column, predictions included.

    Tool: Evidently
    Reach: evidently.core.report.Snapshot.dict
    Why: the form of a metric's configuration, with its type and column, is not documented.
    Upstream: none known
    """
    return {
        metric["config"]["column"]: float(metric["value"])
        for metric in snapshot.dict()["metrics"]
        if metric["config"]["type"].endswith(":ValueDrift")
    }


def register_test(name: str, p_value: Callable[[Any, Any], float]) -> None:
    """Let Evidently compare numbers and categories by a test of our own, from (reference, current) to a p-value.

    Tool: Evidently
    Reach: evidently.legacy.calculations.stattests.registry.register_stattest
    Why: a metric takes a method by its name, and the methods that suit few rows take the reference for exact, or rare
    categories for frequent ones; the public API registers none.
    Upstream: none known
    """
    kinds = [ColumnType.Numerical, ColumnType.Categorical]

    def test(reference: Any, current: Any, _: ColumnType, threshold: float) -> tuple[float, bool]:
        score = p_value(reference, current)
        return score, score < threshold

    register_stattest(StatTest(name, "p-value, Kolmogorov-Smirnov or chi-square", kinds), test)


def counters(title: str, texts: list[str]) -> Any:
    """Draw the values of the current frame and of the reference.

    Tool: Evidently
    Reach: evidently.legacy.renderers.html_widgets.counter, plotly_figure
    Why: widgets of custom metrics have no place but the old API, which is going away.
    Upstream: none known
    """
    values = [CounterData(label, text) for label, text in zip(("current", "reference"), texts, strict=False)]
    return counter(title=title, counters=values, size=WidgetSize.FULL)


def figure(title: str, plot: Figure) -> Any:
    """Draw a figure of Plotly, by the same old API."""
    return plotly_figure(title=title, figure=plot)
