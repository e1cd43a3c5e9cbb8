"""Great Expectations' Data Docs as a static site that works offline: a page a validation, the suite, and an index.

One page is rendered at a time: the builder of Great Expectations reads every stored validation again for its index
(great_expectations#3487). Its pages link about fifteen files on content networks; the same files are in the checkout
and beside the site, and every link is rewritten to them.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import great_expectations as gx
from great_expectations.core import ExpectationSuite, ExpectationSuiteValidationResult
from great_expectations.render.renderer import ExpectationSuitePageRenderer, ValidationResultsPageRenderer
from great_expectations.render.view import DefaultJinjaPageView
from jinja2 import Environment, PackageLoader

from stack.core.settings import ROOT

VENDOR = ROOT / "services" / "portal" / "static" / "vendor"
IMAGES = Path(gx.__file__).parent / "render" / "view" / "static" / "images"
LOGOS = "https://great-expectations-web-assets.s3.us-east-2.amazonaws.com/"
UNPKG, CDNJS = "https://unpkg.com/", "https://cdnjs.cloudflare.com/ajax/libs/"
FILTER = "extensions/filter-control/bootstrap-table-filter-control"
LINKS = {
    f"{UNPKG}bootstrap-table@1.19.1/dist/bootstrap-table.min.css": "bootstrap-table/bootstrap-table.min.css",
    f"{UNPKG}bootstrap-table@1.19.1/dist/bootstrap-table.min.js": "bootstrap-table/bootstrap-table.min.js",
    f"{UNPKG}bootstrap-table@1.19.0/dist/{FILTER}.css": f"bootstrap-table/{FILTER}.min.css",
    f"{UNPKG}bootstrap-table@1.19.1/dist/{FILTER}.min.js": f"bootstrap-table/{FILTER}.min.js",
    "https://maxcdn.bootstrapcdn.com/bootstrap/4.3.1/css/bootstrap.min.css": "bootstrap/css/bootstrap.min.css",
    "https://stackpath.bootstrapcdn.com/bootstrap/4.3.1/js/bootstrap.min.js": "bootstrap/js/bootstrap.min.js",
    f"{CDNJS}bootstrap-datepicker/1.9.0/css/bootstrap-datepicker.min.css": (
        "bootstrap-datepicker/css/bootstrap-datepicker.min.css"
    ),
    f"{CDNJS}bootstrap-datepicker/1.9.0/js/bootstrap-datepicker.min.js": (
        "bootstrap-datepicker/js/bootstrap-datepicker.min.js"
    ),
    "https://cdn.jsdelivr.net/npm/@forevolve/bootstrap-dark@1.1.0/dist/css/bootstrap-prefers-dark.css": (
        "bootstrap-dark/css/bootstrap-prefers-dark.min.css"
    ),
    f"{CDNJS}font-awesome/6.6.0/css/all.min.css": "fontawesome/css/all.min.css",
    f"{CDNJS}popper.js/1.12.9/umd/popper.min.js": "popper/umd/popper.min.js",
    "https://code.jquery.com/jquery-3.7.1.min.js": "jquery/jquery.min.js",
    "https://cdn.jsdelivr.net/npm/vega@5": "vega/vega.min.js",
    "https://cdn.jsdelivr.net/npm/vega-lite@5": "vega-lite/vega-lite.min.js",
    "https://cdn.jsdelivr.net/npm/vega-embed@6": "vega-embed/vega-embed.min.js",
    f"{LOGOS}logo-long.png": "great-expectations/logo-long.png",
    f"{LOGOS}full_logo_dark.png": "great-expectations/logo-long.png",
}


def publish(site: Path, project: str, batch: str, results: Mapping[str, list[Any]], record: Any) -> Path:
    """Write the page of one validation, and the index.

    Args:
        site: Data Docs of all projects; this one's are in the folder of its name.
        project: its name.
        batch: the batch's id.
        results: what Great Expectations found, by frame.
        record: the verdict as in ``verdict.json``, for the index.

    Returns:
        The validation's page.
    """
    _copy_assets(site / "assets")
    page = site / project / "validations" / f"{batch}.html"
    _write(page, _page(ValidationResultsPageRenderer().render(_one_result(project, batch, results, record))))
    _write(page.with_suffix(".json"), json.dumps(record, indent=1))
    index(site / project, project)
    return page


def publish_suite(site: Path, project: str, suites: Mapping[str, list[Any]]) -> None:
    """Write the page of what every batch is expected to be, where that has changed."""
    suite = _one_suite(project, suites)
    page = site / project / "expectations" / f"{project}.html"
    text = json.dumps(suite.to_json_dict(), indent=1, default=str)
    if not page.is_file() or not page.with_suffix(".json").is_file() or page.with_suffix(".json").read_text() != text:
        _write(page, _page(ExpectationSuitePageRenderer().render(suite)))
        _write(page.with_suffix(".json"), text)


def _one_result(
    project: str, batch: str, results: Mapping[str, list[Any]], record: Any
) -> ExpectationSuiteValidationResult:
    """Join the frames' results into one page; a column is named after its frame."""
    merged = [result for frame_results in results.values() for result in frame_results]
    for frame, frame_results in results.items():
        for config in (result.expectation_config for result in frame_results):
            if "column" in config.kwargs:
                config.kwargs["column"] = f"{frame}.{config.kwargs['column']}"
            else:
                config.description = f"{frame}: {config.description or config.type}"
    met = sum(bool(result.success) for result in merged)
    statistics = {
        "evaluated_expectations": len(merged),
        "successful_expectations": met,
        "unsuccessful_expectations": len(merged) - met,
        "success_percent": 100 * met / len(merged),
    }
    meta = {
        "run_id": {"run_name": batch, "run_time": record["until"]},
        "batch_kwargs": {"data_asset_name": ", ".join(record["rows"])},
        "great_expectations_version": gx.__version__,
    }
    return ExpectationSuiteValidationResult(
        success=record["accepted"], results=merged, suite_name=project, statistics=statistics, meta=meta
    )


def _one_suite(project: str, suites: Mapping[str, list[Any]]) -> ExpectationSuite:
    def named(frame: str, expectation: Any) -> Any:
        if hasattr(expectation, "column"):
            return expectation.copy(update={"column": f"{frame}.{expectation.column}"})
        return expectation.copy(update={"description": f"{frame}: {expectation.description}"})

    merged = [named(frame, expectation) for frame, expectations in suites.items() for expectation in expectations]
    return ExpectationSuite(name=project, expectations=merged)


@lru_cache(maxsize=1)
def _view() -> DefaultJinjaPageView:
    """Keep the compiled templates: 0.3 s."""
    return DefaultJinjaPageView()


def _page(document: Any) -> str:
    """Render a document of Great Expectations as a page one folder below the project's."""
    html = str(_view().render(document, show_how_to_buttons=False))
    html = re.sub(r"(\.\./)+(?=index\.html|expectations/)", "../", html)
    html = re.sub(r'"[./]*static/images/favicon\.ico"', '"../../assets/great-expectations/favicon.ico"', html)
    # A file beside the page needs no cross-origin check, and a browser fails one on file://.
    html = re.sub(r'\s(integrity|crossorigin)="[^"]*"', "", html)
    # It holds nothing but the newsletter.
    html = re.sub(r"<footer>.*?</footer>", "", html, flags=re.DOTALL)
    for link, file in LINKS.items():
        html = re.sub(rf"{re.escape(link)}(\?d=[^\"']*)?(?=[\"'])", f"../../assets/{file}", html)
    return html


def index(folder: Path, project: str) -> None:
    """Write the project's front page from the records beside the validations, the latest first."""
    records = [json.loads(path.read_text()) for path in sorted((folder / "validations").glob("*.json"), reverse=True)]
    pages = Environment(loader=PackageLoader("stack.validation", "templates"), autoescape=True)
    _write(folder / "index.html", pages.get_template("data_docs.html").render(project=project, records=records))


def _copy_assets(target: Path) -> None:
    """Put the files that pages link beside the sites; a file that is there in its size is left alone."""
    files = {path.relative_to(VENDOR): path for path in VENDOR.rglob("*") if path.is_file()}
    files |= {Path("great-expectations", name): IMAGES / name for name in ("favicon.ico", "logo-long.png")}
    for name, source in files.items():
        copy = target / name
        if not copy.is_file() or copy.stat().st_size != source.stat().st_size:
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)


def _write(path: Path, text: str) -> None:
    """Replace a file in one step, so that a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(text)
    partial.replace(path)
