"""The answer of a web service, read page by page with dlt's REST client, which repeats what fails, later and later."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pandas as pd
from requests import RequestException, Response, Session
from requests.exceptions import InvalidURL, JSONDecodeError, MissingSchema

from stack.core import secrets
from stack.core.errors import StackError, UnavailableError
from stack.sources import Query, chosen, key, tables
from stack.sources.templates import fill

if TYPE_CHECKING:
    from pathlib import Path

    from dlt.sources.helpers.rest_client.client import PageData
    from dlt.sources.helpers.rest_client.detector import PaginatorFactory
    from dlt.sources.helpers.rest_client.paginators import BasePaginator

    from stack.specification.sources import Http, Pages

ATTEMPTS, BACK_OFF = 4, 2
"""Tries of a request that fails or is answered by 429 or 5xx; seconds between them, doubled each time."""
TIMEOUT = 60
QUERY = re.compile(r"""\?[^\s'")]+""")


def read(source: Http, folder: Path, query: Query) -> pd.DataFrame:
    """Return the rows of the answer to the window."""

    def filled(name: str, text: str) -> str:
        return fill(text, query, source.zone, key(folder, name))

    url = filled("url", source.url)
    words = {
        name: {key: filled(f"{name}.{key}", value) for key, value in getattr(source, name).items()}
        for name in ("params", "headers")
    }
    with _explained(folder):
        if (source.format or ("csv" if urlsplit(url).path.endswith(".csv") else "json")) == "csv":
            rows = _csv(source, folder, url, words)
        else:
            rows = [_table(source, folder, page) for page in _pages(source, folder, url, words) if len(page)]
    if not rows:
        return pd.DataFrame(columns=query.columns)
    found = pd.concat(rows, ignore_index=True)
    return chosen(key(folder, "url"), query, found)


def _session() -> Session:
    from dlt.sources.helpers.requests import Client

    client = Client(TIMEOUT, raise_for_status=False, request_max_attempts=ATTEMPTS, request_backoff_factor=BACK_OFF)
    return client.session


def _csv(source: Http, folder: Path, url: str, words: dict[str, Any]) -> list[pd.DataFrame]:
    answer = _session().get(url, **words)
    answer.raise_for_status()
    return [tables.read(BytesIO(answer.content), "csv", source.options, key(folder, "url"))]


def _pages(source: Http, folder: Path, url: str, words: dict[str, Any]) -> Iterator[PageData[Any]]:
    """Yield the pages. StackError: the service ignores the parameter of pages, so that it gives one for ever."""
    from dlt.common import jsonpath
    from dlt.common.configuration.specs import RuntimeConfiguration
    from dlt.sources.helpers.rest_client.client import RESTClient

    try:
        jsonpath.compile_path(source.rows or "$")
    except Exception as error:
        found, expected = f"{source.rows}: {error}", "a path like data.items"
        raise StackError(key(folder, "rows"), found=found, expected=expected, todo="correct it") from None
    client = RESTClient(url, session=_session(), paginator_factory=_detector(), config=RuntimeConfiguration())
    before: list[Any] | None = None
    params = words["params"] | ({source.pages.size_parameter: str(source.pages.size)} if source.pages.size else {})
    for page in client.paginate(
        url,
        params=params,
        headers=words["headers"],
        data_selector=source.rows or None,
        paginator=_paginator(source.pages),
    ):
        if before and list(page) == before:
            found, todo = "the same page twice", "correct the names in source.pages, or set `by: none`"
            raise StackError(key(folder, "pages"), found=found, expected="other rows on each page", todo=todo)
        if not page:
            _require_rows(source, folder, page.response.json())
        yield page
        before = list(page)


def _paginator(pages: Pages) -> BasePaginator | None:
    from dlt.sources.helpers.rest_client import paginators

    total = pages.total or None
    if pages.by == "number":
        return paginators.PageNumberPaginator(pages.first, page_param=pages.parameter or "page", total_path=total)
    if pages.by == "offset":
        return paginators.OffsetPaginator(
            pages.size or 0,
            offset_param=pages.parameter or "offset",
            limit_param=pages.size_parameter,
            total_path=total,
        )
    if pages.by == "cursor":
        return paginators.JSONResponseCursorPaginator(pages.path or "next", pages.parameter or "cursor")
    if pages.by == "link":
        return paginators.JSONLinkPaginator(pages.path or "next")
    if pages.by == "header":
        return paginators.HeaderLinkPaginator()
    return paginators.SinglePagePaginator() if pages.by == "none" else None


def _detector() -> PaginatorFactory:
    """Return what chooses the paginator of ``by: auto``, and is sure of it: dlt warns of one that it calls a guess."""
    from dlt.sources.helpers.rest_client.detector import PaginatorFactory

    class Detector(PaginatorFactory):
        def create_paginator(self, response: Response) -> tuple[BasePaginator, float]:
            paginator, _ = super().create_paginator(response)
            return paginator, 1.0

    return Detector()


def _table(source: Http, folder: Path, page: PageData[Any]) -> pd.DataFrame:
    """Return the rows of a page: of a list of objects, or of an object of lists."""
    try:
        return tables.from_records(page[0] if len(page) == 1 else list(page))
    except ValueError as error:
        todo = "name the place of the rows in source.rows, `$` for the whole answer"
        raise StackError(key(folder, "rows"), found=str(error), expected="a list of objects", todo=todo) from None


def _require_rows(source: Http, folder: Path, answer: Any) -> None:
    """Raise a StackError where an answer lacks the place of the rows; there, none need be."""
    from dlt.common import jsonpath

    if source.rows and answer != [] and not jsonpath.find_values(source.rows, answer):
        found = f"no {source.rows} in the answer; there are {', '.join(map(str, answer))}"
        raise StackError(key(folder, "rows"), found=found, expected="the place of the rows", todo="correct it")


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Turn the errors of a request into ones that say what to do."""
    try:
        yield
    except RequestException as error:
        raise _error(key(folder, "url"), error) from None


def _error(where: str, error: RequestException) -> StackError:
    status = error.response.status_code if error.response is not None else None
    text = QUERY.sub("?...", " ".join(str(error).split()))  # a secret is written otherwise in it
    found = secrets.redact(f"{type(error).__name__}: {text}")[:300]
    if isinstance(error, JSONDecodeError):
        return StackError(
            where, found="an answer that is no JSON", expected="JSON", todo="set source.format, or the URL"
        )
    if status in (401, 403):
        todo = "correct source.headers or source.params, and the secrets that they name in .env"
        return StackError(where, found=found, expected="a service that accepts the login", todo=todo)
    if isinstance(error, MissingSchema | InvalidURL) or (status and status < 500 and status != 429):
        return StackError(
            where, found=found, expected="an address and parameters that the service knows", todo="fix it"
        )
    todo = "look whether the service runs and its address is right"
    return UnavailableError(where, found=found, expected="a service that answers", todo=todo)
