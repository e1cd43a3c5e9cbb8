"""Each reach into Great Expectations, on its own: a failure here means that an upgrade has changed it."""

import re

import great_expectations as gx
import great_expectations.expectations as gxe
import pandas as pd
import pytest

from stack.kit.expectations import present
from stack.validation import _compat, validation
from tests.reaches import reach

GX = "great_expectations"
FRAME = pd.DataFrame({"celsius": [20.0, 451.0, 21.0]})
SUITE = [gxe.ExpectColumnValuesToBeBetween(column="celsius", min_value=-50, max_value=60, description="weather")]
LOADED = re.compile(r"<(?:script|link|img)\b[^>]*(?:src|href)=[\"'](https?://[^\"'?]+)")


def page_of(results: list[gx.core.ExpectationValidationResult]) -> str:
    """Return the page of a validation, as Great Expectations renders it."""
    statistics = {"evaluated_expectations": 1, "successful_expectations": 0, "unsuccessful_expectations": 1}
    meta = {"run_id": {"run_name": "b", "run_time": "2024-05-01T00:00:00+00:00"}, "batch_kwargs": {}}
    whole = gx.core.ExpectationSuiteValidationResult(
        success=False,
        results=results,
        suite_name="readings",
        statistics=statistics | {"success_percent": 0.0},
        meta=meta | {"great_expectations_version": gx.__version__},
    )
    return _compat.page(whole)


@pytest.fixture(scope="module")
def pages() -> list[str]:
    """The two kinds of pages."""
    results = _compat.validate({"readings": FRAME}, {"readings": SUITE})["readings"]
    return [page_of(results), _compat.page(gx.ExpectationSuite(name="readings", expectations=SUITE))]


@pytest.mark.parametrize("kind", ["boolean", "Int64", "datetime64[us, UTC]"])
def test_missing_values_of_any_type_are_rendered(kind, caplog):
    frame = pd.DataFrame({"on": pd.Series([1, None, 0] * 5, dtype="Int64").astype(kind)})
    (result,) = _compat.validate({"readings": frame}, {"readings": [present("on")]})["readings"]
    validation.Findings().add("readings", frame, result)
    page_of([result])
    assert [record.message for record in caplog.records if "exception" in record.message.lower()] == []


def test_no_value_is_escaped_twice(pages):
    with reach(GX, "DefaultJinjaPageView"):
        texts = _compat.page(gx.ExpectationSuite(name="a", expectations=[SUITE[0].copy(update={"column": "<b>&"})]))
        assert "&lt;b&gt;&amp;" in texts and "&amp;lt;" not in texts and "<b>&" not in texts


def test_the_context_draws_no_progress_bar(capfd):
    with reach(GX, "ProgressBarsConfig"):
        _compat.validate({"readings": FRAME}, {"readings": SUITE})
        assert "Calculating Metrics" not in "".join(capfd.readouterr())


def test_the_validated_project_is_still_a_global():
    """When this fails, the lock of `validate` may go."""
    with reach(GX, "context_factory.project_manager"):
        from great_expectations.data_context.data_context import context_factory

        _compat.context()
        assert isinstance(context_factory.project_manager, context_factory.ProjectManager)


def test_results_give_the_positions_of_wrong_rows():
    with reach(GX, "batch.validate"):
        (result,) = _compat.validate({"readings": FRAME}, {"readings": SUITE})["readings"]
        assert result.result["unexpected_index_list"] == [1]


def test_pages_are_rendered_one_at_a_time(pages):
    with reach(GX, "DefaultJinjaPageView"):
        assert all("weather" in page for page in pages)


def test_every_file_that_a_page_loads_is_known(pages):
    with reach(GX, "the templates of its pages"):
        loaded = {link for page in pages for link in LOADED.findall(page)}
        assert loaded, "no link found"
        assert loaded <= set(_compat.LINKS), f"new: {loaded - set(_compat.LINKS)}"


def test_a_page_loads_nothing_from_the_internet(pages):
    with reach(GX, "the templates of its pages"):
        for page in pages:
            html = _compat.offline(page, "../../assets")
            assert LOADED.findall(html) == []
            assert f'"../../assets/{_compat.FAVICON}"' in html
            assert "<footer>" in page and "<footer>" not in html
            assert not re.search(r"\s(integrity|crossorigin)=", html)


def test_the_pictures_are_in_the_package():
    with reach(GX, "render/view/static/images"):
        assert [path for path in _compat.images().values() if not path.is_file()] == []
