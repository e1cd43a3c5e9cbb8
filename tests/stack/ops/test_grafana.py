"""Prometheus asks every service for its metrics, and Grafana's dashboard shows metrics that there are."""

import json
import os
import re
import subprocess

import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram

from services import measured
from services.portal.measurements import METRICS
from services.prediction import metrics
from stack.core.settings import ROOT
from stack.ops import compose_file

SERVICES = yaml.safe_load(compose_file.FILE.read_text())["services"]
KNOWN = {
    metric.describe()[0].name
    for module in (measured, metrics)
    for metric in vars(module).values()
    if isinstance(metric, Counter | Gauge | Histogram)
}
PROCESS = {"process_resident_memory_bytes"}


@pytest.fixture
def config(tmp_path):
    """What docker/prometheus.sh writes, with a Prometheus that does nothing."""
    program = tmp_path / "prometheus"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    names = SERVICES["prometheus"]["environment"]
    urls = {key: f"http://{key.lower()}:{8000 + number}" for number, key in enumerate(names)}
    file = tmp_path / "prometheus.yml"
    environ = urls | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PROMETHEUS_CONFIG": str(file)}
    subprocess.run(["sh", ROOT / "docker" / "prometheus.sh"], env=environ, check=True)
    return file, urls


def test_prometheus_asks_every_service(config):
    file, urls = config
    scraped = yaml.safe_load(file.read_text())["scrape_configs"]
    jobs = {job["job_name"]: job["static_configs"][0]["targets"] for job in scraped}

    assert set(jobs) == {"portal", "prediction", "prefect", "mlflow", "features", "monitoring"}
    assert {f"http://{target}" for targets in jobs.values() for target in targets} == set(urls.values())


def test_the_dashboard_shows_metrics_that_there_are():
    dashboard = json.loads((ROOT / "docker" / "grafana" / "dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    named = set(re.findall(r"\b(?:stack|prediction|http|process)_[a-z_]+", "\n".join(queries)))

    assert len(named) > 15
    assert {re.sub(r"_(total|bucket)$", "", name) for name in named} - KNOWN - set(METRICS) - PROCESS == set()
    assert set(METRICS) <= named


def test_grafana_reads_the_provisioned_files_and_lets_nobody_in():
    grafana = SERVICES["grafana"]
    for mount in grafana["volumes"]:
        assert (ROOT / mount.split(":")[0]).is_file() and mount.endswith(":ro")
    source = yaml.safe_load((ROOT / "docker" / "grafana" / "datasource.yml").read_text())["datasources"][0]
    dashboard = json.loads((ROOT / "docker" / "grafana" / "dashboard.json").read_text())

    assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {source["uid"]}
    assert grafana["environment"]["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert grafana["environment"]["GF_AUTH_DISABLE_LOGIN_FORM"] == "true"
