"""Send generated requests, valid and invalid, to the routes of the running services, and count the answers.

``python -m tests.fuzz --cases 10000 --seed 1`` starts a stack of its own, fuzzes it and stops it. The exit code is 1
when a route answered with a status of 500 or more that its OpenAPI document does not name.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, strategies
from requests.structures import CaseInsensitiveDict
from schemathesis import Case, GenerationMode
from schemathesis.schemas import APIOperation

from bench.__main__ import stack
from stack.core.settings import Settings
from tests import fuzz_portal
from tests.polling import PATIENCE_SECONDS

FIRST = datetime(2013, 1, 1, tzinfo=UTC)
KNOWN = strategies.timedeltas(timedelta(), timedelta(days=60)).map(lambda after: FIRST + after)
ANY = strategies.datetimes(timezones=strategies.timezones() | strategies.just(timezone(timedelta(hours=23))))
INSTANTS = strategies.one_of(*[KNOWN] * 9, ANY)
"""Most within the data of the examples, so that some requests are answered."""
WITHOUT_END = ("/materialize", "/materialize-incremental")
"""Routes that compute for minutes when a generated window is wide."""


@dataclass
class Account:
    """The answers to the requests of a run."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    """Route and status -> number."""
    undocumented: dict[tuple[str, int], str] = field(default_factory=dict)
    """Route and status of 500 or more that its document does not name -> a request that led to it."""

    def add(self, case: Case, response: Any) -> None:
        """Count the answer to a request."""
        key = (case.operation.label, response.status_code)
        self.answers[key] += 1
        documented = case.operation.definition.raw["responses"]
        if response.status_code >= 500 and str(response.status_code) not in documented:
            self.undocumented.setdefault(key, case.as_curl_command()[:2000])

    def __str__(self) -> str:
        lines = [f"{number:6}  {status}  {label}" for (label, status), number in sorted(self.answers.items())]
        lines += [f"undocumented: {status} {label}\n  {curl}" for (label, status), curl in self.undocumented.items()]
        lines += [f"{self.answers.total()} requests, {len(self.undocumented)} kinds of undocumented failures"]
        return "\n".join(lines)


schemathesis.openapi.format("date-time", INSTANTS.map(datetime.isoformat))


def fuzz(settings: Settings, *, cases: int, seed: int) -> Account:
    """Send at least `cases` requests, half of them invalid, spread evenly over the routes.

    Hypothesis sends fewer to a route that has no more different requests; further rounds make up for them.
    """
    account = Account()
    with ExitStack() as running, requests.Session() as session:
        folder = running.enter_context(tempfile.TemporaryDirectory(prefix="fuzz-portal-"))
        portal = running.enter_context(fuzz_portal.served(settings, Path(folder)))
        routes = list(operations(settings, portal))
        session.trust_env = False
        while (left := cases - account.answers.total()) > 0:
            for url, operation, login in routes:
                session.headers = CaseInsensitiveDict(login)
                modes = (
                    [GenerationMode.POSITIVE] if login else [*GenerationMode]
                )  # in a form of texts nothing is invalid
                _send(account, session, url, operation, modes, max(2, left // len(routes)), seed)
            seed += 1_000_000
    return account


def operations(settings: Settings, portal: Settings) -> Iterator[tuple[str, APIOperation, dict[str, str]]]:
    """Yield the routes of the prediction service, Feast's server and a portal, with the service's URL and login."""
    documents = {
        settings.prediction_url: _document(f"{settings.prediction_url}/docs.json"),
        settings.features_url: _document(f"{settings.features_url}/openapi.json"),
        portal.address("portal"): fuzz_portal.document(portal),
    }
    for url, document in documents.items():
        for result in schemathesis.openapi.from_dict(document).get_all_operations():
            operation = result.ok()
            if operation.path not in WITHOUT_END:
                yield url, operation, portal.prefect_headers if url == portal.address("portal") else {}


def _document(url: str) -> dict[str, Any]:
    return httpx.get(url, trust_env=False, timeout=PATIENCE_SECONDS).raise_for_status().json()


def _send(
    account: Account,
    session: requests.Session,
    url: str,
    operation: APIOperation,
    modes: Sequence[GenerationMode],
    cases: int,
    seed: int,
) -> None:
    for mode in modes:

        @hypothesis.seed(seed)
        @hypothesis.settings(
            max_examples=max(1, cases // len(modes)),
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def send(case: Case) -> None:
            account.add(case, case.call(base_url=url, session=session, timeout=PATIENCE_SECONDS))

        try:
            send()
        except (hypothesis.errors.Unsatisfiable, schemathesis.errors.InvalidSchema):
            continue  # nothing of the route can be invalid


def main() -> int:
    """Fuzz a stack of its own; return 1 when a failure was undocumented."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as home, stack(Path(home)) as (settings, _):
        began = time.monotonic()
        account = fuzz(settings, cases=arguments.cases, seed=arguments.seed)
    print(f"{account} in {time.monotonic() - began:.0f} s, seed {arguments.seed}")
    return 1 if account.undocumented else 0


if __name__ == "__main__":
    sys.exit(main())
