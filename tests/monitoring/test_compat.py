"""Each reach into Evidently, on its own: a failure here means that an upgrade has changed it."""

import json
from queue import Empty, Queue

import evidently
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from evidently.core.report import Snapshot
from evidently.sdk.models import PanelMetric
from evidently.sdk.panels import line_plot_panel
from evidently.ui.workspace import Workspace

from monitoring import _compat
from monitoring.evidently_metrics import DriftTable, MissingPercent
from tests.polling import PATIENCE_SECONDS
from tests.reaches import reach

EVIDENTLY = "evidently"
PROJECT, NAME = "0190f2f0-0000-7000-8000-000000000000", "0190f2f0-0000-7000-8000-000000000001.json"


def dataset(shift: float) -> evidently.Dataset:
    values = np.random.default_rng(0).normal(shift, 1, 300)
    return evidently.Dataset.from_pandas(pd.DataFrame({"moved": values, "calm": values - shift}))


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    columns = ["moved", "calm"]
    table = DriftTable(columns=columns, num_method="psi", cat_method="psi", threshold=0.2, drift_share=0.3)
    return evidently.Report([table, MissingPercent(columns=columns)]).run(dataset(2.0), dataset(0.0))


@pytest.fixture(scope="module")
def own() -> dict[str, float]:
    """The scores of Evidently's own metric."""
    metrics = [evidently.metrics.ValueDrift(column=column, method="psi") for column in ("moved", "calm")]
    report = evidently.Report(metrics).run(dataset(2.0), dataset(0.0)).dict()
    return {metric["config"]["column"]: metric["value"] for metric in report["metrics"]}


def test_the_library_is_one_long_script_of_the_body(snapshot):
    with reach(EVIDENTLY, "Snapshot.get_html_str"):
        libraries: list[str] = []
        html = snapshot.get_html_str(as_iframe=False)
        page = _compat.link_library(html, lambda library: libraries.append(library) or "../assets/library.js")
        assert len(libraries) == 1, f"{len(libraries)} scripts of over {_compat.LIBRARY} characters"
        assert '<script src="../assets/library.js">' in page
        assert len(page) < len(html) / 2


def test_the_data_are_two_lines_that_can_be_escaped(snapshot):
    with reach(EVIDENTLY, "file_html_template"):
        html = snapshot.get_html_str(as_iframe=False).replace('"moved"', '"</script><body>"')
        page = _compat.escape_data(html)
        assert "</script><body>" in html and "</script><body>" not in page
        with pytest.raises(ValueError, match="1 lines"):
            _compat.escape_data(html.replace("var additional_graphs", "let additional_graphs"))


def test_a_slim_snapshot_is_smaller_and_still_read(snapshot):
    with reach(EVIDENTLY, "Snapshot.dump_dict"):
        whole, slim = (json.dumps(model, default=str) for model in (snapshot.dump_dict(), _compat.slim(snapshot)))
        assert '"template"' in whole and '"template"' not in slim
        assert len(slim) < 0.7 * len(whole)
        assert Snapshot.load_dict(_compat.slim(snapshot)).dict()["metrics"] == snapshot.dict()["metrics"]


def test_the_watcher_takes_a_published_file_for_a_creation(tmp_path):
    with reach(EVIDENTLY, "WorkspaceDirHandler"):
        from evidently.ui.service.storage.local.watcher import WorkspaceDirHandler
        from watchdog.observers import Observer

        folder, seen = tmp_path / PROJECT / "snapshots", Queue()

        class Recorder(WorkspaceDirHandler):
            def __init__(self) -> None:
                self.path = str(tmp_path)

            def on_snapshot_event(self, event: object) -> None:
                seen.put(event.event_type)

        folder.mkdir(parents=True)
        observer = Observer()
        observer.schedule(Recorder(), str(tmp_path), recursive=True)
        observer.start()
        try:
            _compat.publish(tmp_path, b"{}", folder / NAME)
            try:
                assert seen.get(timeout=PATIENCE_SECONDS) == "created"
            except Empty:
                raise AssertionError("no event") from None
        finally:
            observer.stop()
            observer.join(10)
    assert (folder / NAME).read_bytes() == b"{}"
    assert [path.name for path in tmp_path.iterdir()] == [PROJECT]


def test_our_metric_is_taken_for_evidentlys_own():
    with reach(EVIDENTLY, "metrics.ValueDrift"):
        types = {metric.__get_type__() for metric in (_compat.ValueDrift, evidently.metrics.ValueDrift)}
        assert len(types) == 1, types


def test_the_table_and_the_report_give_the_scores_of_evidentlys_own_metric(snapshot, own):
    with reach(EVIDENTLY, "Context.get_legacy_metric, Snapshot.dict"):
        assert _compat.drift_scores(snapshot) == pytest.approx(own)


def test_the_count_of_drifted_columns_is_evidentlys_own_and_compares_none_again(monkeypatch):
    from evidently.legacy.metrics.data_drift import dataset_drift_metric

    columns = {"columns": ["moved", "calm"], "drift_share": 0.3, "threshold": 0.2}
    count = evidently.metrics.DriftedColumnsCount(**columns, num_method="psi", cat_method="psi")
    own = evidently.Report([count]).run(dataset(2.0), dataset(0.0)).dict()["metrics"]

    def compare_again(**_: object) -> None:
        raise AssertionError("the columns are compared once more")

    with reach(EVIDENTLY, "Context.get_legacy_metric, DriftedColumnsCount.to_calculation"):
        monkeypatch.setattr(dataset_drift_metric, "get_drift_for_columns", compare_again)
        table = DriftTable(**columns, num_method="psi", cat_method="psi")
        ours = evidently.Report([table]).run(dataset(2.0), dataset(0.0)).dict()["metrics"]
        assert ours[0]["value"] == own[0]["value"] == {"count": 1, "share": 0.5}


def test_a_test_of_our_own_compares_numbers_and_categories():
    with reach(EVIDENTLY, "stattests.registry.register_stattest"):
        _compat.register_test("ours", lambda reference, current: len(current) / len(reference) / 4)
        frames = [pd.DataFrame({"moved": range(size), "kind": "a"}) for size in (100, 50)]
        reference, current = (evidently.Dataset.from_pandas(frame) for frame in frames)
        table = DriftTable(num_method="ours", cat_method="ours", threshold=0.2, drift_share=0.3)
        snapshot = evidently.Report([table]).run(current, reference)
        assert _compat.drift_scores(snapshot) == {"moved": 0.125, "kind": 0.125}
        assert snapshot.dict()["metrics"][0]["value"]["count"] == 2


def test_widgets_are_drawn():
    with reach(EVIDENTLY, "legacy.renderers.html_widgets"):
        assert _compat.counters("Missing values", ["1.00 %", "2.00 %"]).title == "Missing values"
        assert _compat.figure("Reliability", go.Figure()).title == "Reliability"


def test_a_local_workspace_keeps_its_files_where_they_are_read(tmp_path, snapshot):
    with reach(EVIDENTLY, "the files of a local workspace"):
        workspace = Workspace(str(tmp_path))
        project = workspace.create_project("tiny")
        run = workspace.add_run(project.id, snapshot, include_data=False, name="r1")
        project.dashboard.add_panel(line_plot_panel("Missing values", [PanelMetric(metric="MissingPercent")]))
        stored = _compat.stored_files(tmp_path / str(project.id), run.id)
        assert json.loads(stored["metadata.json"])["name"] == "tiny"
        assert "Missing values" in stored["dashboard.json"].decode()
        assert "MissingPercent" in stored["snapshot"].decode()
