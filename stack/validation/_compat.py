"""What validation needs of Great Expectations beyond its public API, each reach in one place.

``docs/upgrading-tools.md`` is generated from the docstrings; ``tests/stack/validation/test_compat.py`` says what has
changed.
"""

import re
import threading
from collections.abc import Mapping, Sequence
from copy import copy
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

import great_expectations as gx
import pandas as pd
from great_expectations.core import ExpectationSuite, ExpectationSuiteValidationResult
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.render.renderer import ExpectationSuitePageRenderer, ValidationResultsPageRenderer
from great_expectations.render.view import DefaultJinjaPageView

LOGOS = "https://great-expectations-web-assets.s3.us-east-2.amazonaws.com/"
UNPKG, CDNJS = "https://unpkg.com/", "https://cdnjs.cloudflare.com/ajax/libs/"
FILTER = "extensions/filter-control/bootstrap-table-filter-control"
ICONS = "fontawesome/css/all.min.css"
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
    f"{CDNJS}font-awesome/6.6.0/css/all.min.css": ICONS,
    f"{CDNJS}popper.js/1.12.9/umd/popper.min.js": "popper/umd/popper.min.js",
    "https://code.jquery.com/jquery-3.7.1.min.js": "jquery/jquery.min.js",
    "https://cdn.jsdelivr.net/npm/vega@5": "vega/vega.min.js",
    "https://cdn.jsdelivr.net/npm/vega-lite@5": "vega-lite/vega-lite.min.js",
    "https://cdn.jsdelivr.net/npm/vega-embed@6": "vega-embed/vega-embed.min.js",
    f"{LOGOS}logo-long.png": "great-expectations/logo-long.png",
    f"{LOGOS}full_logo_dark.png": "great-expectations/logo-long.png",
}
"""Address in a page of Great Expectations -> file below the site's ``assets``."""
FAVICON = "great-expectations/favicon.ico"
_lock = threading.Lock()


@lru_cache(maxsize=1)
def context() -> Any:
    """Return a data context without progress bars.

    Tool: Great Expectations
    Reach: great_expectations.data_context.types.base.ProgressBarsConfig
    Why: get_context has no option for progress bars, which fill the logs of a run.
    Upstream: https://github.com/great-expectations/great_expectations/issues/3775
    """
    quiet = gx.get_context(mode="ephemeral")
    quiet.variables.progress_bars = ProgressBarsConfig(globally=False)
    return quiet


def validate(frames: Mapping[str, pd.DataFrame], suites: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """Validate each frame that has a suite, one call at a time.

    Tool: Great Expectations
    Reach: great_expectations.data_context.data_context.context_factory.project_manager
    Why: the validated project is a global of the process, so two threads would validate each other's frames.
    Upstream: https://github.com/great-expectations/great_expectations/issues/12209

    Returns:
        Frame -> results of its expectations, with the positions of all wrong rows.
    """
    results = {}
    with _lock:
        for name, expectations in suites.items():
            batch = context().data_sources.pandas_default.read_dataframe(frames[name])
            suite = gx.ExpectationSuite(name=name, expectations=list(expectations))
            results[name] = list(batch.validate(suite, result_format="COMPLETE").results)
    return results


def page(content: ExpectationSuite | ExpectationSuiteValidationResult) -> str:
    """Render the Data Docs page of one validation or suite.

    Tool: Great Expectations
    Reach: great_expectations.render.view.DefaultJinjaPageView
    Why: build_data_docs, the public way, reads every stored validation again for its index.
    Upstream: https://github.com/great-expectations/great_expectations/issues/3732
    """
    if isinstance(content, ExpectationSuite):
        rendered = ExpectationSuitePageRenderer().render(_escaped_suite(content))
    else:
        rendered = ValidationResultsPageRenderer().render(_escaped_results(content))
    return str(_view().render(rendered, show_how_to_buttons=False))


def _escaped_suite(suite: ExpectationSuite) -> ExpectationSuite:
    """Return a suite whose texts are escaped for HTML, which the templates of Great Expectations do not do."""
    configurations = [escaped(each.to_json_dict()) for each in suite.expectation_configurations]
    return ExpectationSuite(name=suite.name, expectations=configurations)


def _escaped_results(content: ExpectationSuiteValidationResult) -> ExpectationSuiteValidationResult:
    """Return a validation whose texts, values of the data among them, are escaped for HTML."""
    results = []
    for result in content.results:
        copied, config = copy(result), copy(result.expectation_config)
        copied.result, copied.exception_info = escaped(result.result), escaped(result.exception_info)
        config.kwargs, config.description = escaped(config.kwargs), escaped(config.description)
        copied.expectation_config = config
        results.append(copied)
    whole = copy(content)
    whole.results, whole.meta = results, escaped(content.meta)
    return whole


def escaped(value: Any) -> Any:
    """Return a value of JSON whose texts are escaped for HTML; what is missing as None, which the renderers expect."""
    if value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, Mapping):
        return {escaped(key): escaped(inner) for key, inner in value.items()}
    return [escaped(inner) for inner in value] if isinstance(value, list | tuple) else value


@lru_cache(maxsize=1)
def _view() -> DefaultJinjaPageView:
    """Keep the compiled templates: 0.3 s."""
    return DefaultJinjaPageView()


def offline(html: str, assets: str) -> str:
    """Make a page of Data Docs, one folder below its index, load nothing from the internet.

    Tool: Great Expectations
    Reach: great_expectations/render/view/templates
    Why: a page links 17 files of content networks by exact version, and has no option for others.
    Upstream: https://github.com/great-expectations/great_expectations/issues/994

    Args:
        assets: address of the folder that has the files of `LINKS`.
    """
    html = re.sub(r"(\.\./)+(?=index\.html|expectations/)", "../", html)
    html = re.sub(r'"[./]*static/images/favicon\.ico"', f'"{assets}/{FAVICON}"', html)
    # A file beside the page needs no cross-origin check, and a browser fails one on file://.
    html = re.sub(r'\s(integrity|crossorigin)="[^"]*"', "", html)
    # It holds nothing but the newsletter.
    html = re.sub(r"<footer>.*?</footer>", "", html, flags=re.DOTALL)
    for link, file in LINKS.items():
        html = re.sub(rf"{re.escape(link)}(\?d=[^\"']*)?(?=[\"'])", f"{assets}/{file}", html)
    return html


def images() -> dict[str, Path]:
    """Return the pictures of the pages: file below the site's ``assets`` -> file of the package.

    Tool: Great Expectations
    Reach: great_expectations/render/view/static/images
    Why: the logo and icon are package data without a function that gives them.
    Upstream: https://github.com/great-expectations/great_expectations/issues/994
    """
    folder = Path(gx.__file__).parent / "render" / "view" / "static" / "images"
    return {f"great-expectations/{name}": folder / name for name in ("favicon.ico", "logo-long.png")}
