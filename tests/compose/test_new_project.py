"""A table becomes a live model through the portal of the containers; its settings and packages are changed there."""

import html
import json
import re
import shutil
from collections.abc import Iterator

import httpx
import pytest

from stack.core.settings import ROOT
from stack.ops import versions
from stack.project import Project
from stack.registry import artifacts
from stack.specification import specs
from tests import own_packages
from tests.compose.conftest import Containers
from tests.polling import PATIENCE_SECONDS, eventually

pytestmark = pytest.mark.services
NAME = "dropped"
TABLE = "signed_up,plan,calls,churned\n" + "".join(
    f"2024-01-{number % 28 + 1:02d},{('basic', 'pro')[number % 2]},{number * 5 % 11},"
    f"{'yes' if number * 31 % 17 < 1.7 * (number * 5 % 11) else 'no'}\n"
    for number in range(600)
)
"""The more calls, the more of them leave."""


@pytest.fixture
def portal(containers: Containers) -> Iterator[httpx.Client]:
    """The portal, asked with its key; the project is gone afterwards."""
    settings = containers.settings
    try:
        with httpx.Client(
            base_url=settings.portal_url, headers=settings.prefect_headers, trust_env=False, timeout=600
        ) as client:
            yield client
    finally:
        shutil.rmtree(ROOT / "projects" / NAME, ignore_errors=True)
        versions.sources.cache_clear()


def ended(portal: httpx.Client, answer: httpx.Response) -> str:
    """Wait for the job that an answer names, and return what it said."""
    job = re.search(r"/jobs/[0-9a-f]+", answer.raise_for_status().text)
    assert job, answer.text
    text = eventually(lambda: "hx-trigger" not in (page := portal.get(job[0]).text) and page)
    return html.unescape(str(text))


def trained_with_own_packages(containers: Containers) -> str:
    """Train a candidate of a package of the project's own; return what reproducing the training says."""
    containers.stack("packages", NAME)
    containers.stack("train", NAME)
    spec = specs.load(NAME)
    version = max(Project(containers.settings, spec).registry.versions(), key=lambda each: int(each.version))
    with artifacts.folder(containers.settings, version, "recipe") as recipe:
        made = json.loads((recipe / "recipe.json").read_text())
    assert made["own_packages"] == {"tiny-trees": "1.0"} and made["candidate"] == "tiny", made
    return containers.stack("reproduce", version.run_id)


def test_a_dropped_table_is_answered_for_trained_with_packages_of_its_own_and_removed(
    containers: Containers, portal: httpx.Client
) -> None:
    looked = portal.post("/new/look", files={"file": ("dropped.csv", TABLE)}, data={"target": "churned"})
    place = re.search(r'name="place" value="(.*?)"', looked.text)
    assert place, looked.text
    form = {"name": NAME, "place": html.unescape(place[1]), "target": "churned", "time": "signed_up"}
    said = ended(portal, portal.post("/new/make", data=form))
    assert f"{NAME} is live" in said and (ROOT / "projects" / NAME / "project.yaml").is_file(), said
    row = {"signed_up": "2024-02-01T00:00:00Z", "plan": "pro", "calls": 10}
    url = f"{containers.settings.prediction_url}/{NAME}/predict"
    answer = httpx.post(url, json={"rows": [row]}, trust_env=False, timeout=PATIENCE_SECONDS)
    assert answer.raise_for_status().json()[0]["probability"] > 0.5

    page = html.unescape(portal.get(f"/projects/{NAME}/settings").text)
    text = re.search(r"<textarea.*?>\n(.*?)</textarea>", page, re.DOTALL)
    digest = re.search(r'name="digest" value="(.*?)"', page)
    assert text and digest, page
    kept, *_ = text[1].partition("\ntraining:")
    changed = f"{kept}\ntraining: {{candidates: [dummy, tiny], trials: 1}}\n"
    own_packages.bring(ROOT / "projects" / NAME)
    said = ended(portal, portal.post(f"/projects/{NAME}/settings/save", data={"text": changed, "digest": digest[1]}))
    assert "saved" in said, said

    reproduced = trained_with_own_packages(containers)
    assert "metrics" in reproduced, reproduced

    said = ended(portal, portal.post(f"/projects/{NAME}/remove", data={"typed": NAME}))
    assert f"{NAME} is removed" in said and not (ROOT / "projects" / NAME).exists(), said
    assert containers.sql(f"SELECT count(*) FROM predictions WHERE project = '{NAME}'") == ["0"]
