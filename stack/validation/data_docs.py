"""Great Expectations' Data Docs as a static site that works offline: a page a validation, the suite, and an index.

One page is rendered at a time, and its index is written here: the builder of Great Expectations reads every stored
validation again for its own. The files that its pages link are in the checkout, and copied beside the site.
"""

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import great_expectations as gx
from great_expectations.core import ExpectationSuite, ExpectationSuiteValidationResult
from jinja2 import Environment, PackageLoader

from stack.core import files
from stack.core.settings import ROOT
from stack.validation import _compat

VENDOR = ROOT / "services" / "portal" / "static" / "vendor"


def publish(site: Path, results: Mapping[str, list[Any]], record: Mapping[str, Any]) -> Path:
    """Write the page of one validation, and the index; return the page.

    Args:
        site: Data Docs of all projects; a project's are in the folder of its name.
        results: of Great Expectations, by frame.
        record: the content of ``verdict.json``, for the index.
    """
    _copy_assets(site / "assets")
    page: Path = site / record["page"]
    _write(page, _merged_result(results, record), json.dumps(record, indent=1))
    index(site / record["project"], record["project"])
    return page


def publish_suite(site: Path, project: str, suites: Mapping[str, list[Any]]) -> None:
    """Write the page of the expectations, where they have changed."""

    def named(frame: str, expectation: Any) -> Any:
        if hasattr(expectation, "column"):
            return expectation.copy(update={"column": f"{frame}.{expectation.column}"})
        return expectation.copy(update={"description": f"{frame}: {expectation.description}"})

    merged = [named(frame, expectation) for frame, expectations in suites.items() for expectation in expectations]
    suite = ExpectationSuite(name=project, expectations=merged)
    page, text = (
        site / project / "expectations" / f"{project}.html",
        json.dumps(suite.to_json_dict(), indent=1, default=str),
    )
    written = page.with_suffix(".json")
    if not page.is_file() or not written.is_file() or written.read_text() != text:
        _write(page, suite, text)


def index(folder: Path, project: str) -> None:
    """Write the project's front page from the records beside the validations, the latest first."""
    records = [json.loads(path.read_text()) for path in sorted((folder / "validations").glob("*.json"), reverse=True)]
    pages = Environment(loader=PackageLoader("stack.validation", "templates"), autoescape=True)
    files.write(folder / "index.html", pages.get_template("data_docs.html").render(project=project, records=records))


def _merged_result(results: Mapping[str, list[Any]], record: Mapping[str, Any]) -> ExpectationSuiteValidationResult:
    """Merge the frames' results into one; a column is named after its frame."""
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
        "run_id": {"run_name": record["batch"], "run_time": record["until"]},
        "batch_kwargs": {"data_asset_name": ", ".join(record["rows"])},
        "great_expectations_version": gx.__version__,
    }
    return ExpectationSuiteValidationResult(
        success=record["accepted"], results=merged, suite_name=record["project"], statistics=statistics, meta=meta
    )


def _write(page: Path, content: ExpectationSuite | ExpectationSuiteValidationResult, record: str) -> None:
    files.write(page, _compat.offline(_compat.page(content), "../../assets"))
    files.write(page.with_suffix(".json"), record)


def _copy_assets(target: Path) -> None:
    """Copy the files that pages link, unless a file of the same size is there."""
    vendored = {str(path.relative_to(VENDOR)): path for path in VENDOR.rglob("*") if path.is_file()}
    for name, source in (vendored | _compat.images()).items():
        copy, content = target / name, _with_fonts(source) if name == _compat.ICONS else None
        if not copy.is_file() or copy.stat().st_size != (len(content) if content else source.stat().st_size):
            files.write(copy, content or source.read_bytes())


@lru_cache(maxsize=1)
def _with_fonts(sheet: Path) -> bytes:
    """Return a style sheet that holds its fonts: the sandbox in which the portal shows pages loads none by address."""

    def inline(address: re.Match[str]) -> str:
        font = sheet.parent / address[1]
        return f"url(data:font/woff2;base64,{b64encode(font.read_bytes()).decode()})"

    return re.sub(r"url\(([^)]+\.woff2)\)", inline, sheet.read_text()).encode()
