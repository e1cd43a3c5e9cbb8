"""The cache returns what is known, waits no longer than it says, and returns nothing stale."""

import asyncio

import pytest

from services.portal.cache import Cache, may_pass
from services.portal.cards import Card
from stack.core.problems import Problem
from stack.ops.tools import ToolState


def test_what_was_true_long_ago_is_not_shown():
    async def live() -> list[object]:
        cache, late = Cache(fresh=0.0, stale=0.05, patience=0.0, first=0.0), asyncio.Event()

        async def at_once() -> str:
            return "connection refused"

        async def slowly() -> str:
            await late.wait()
            return "answers"

        seen = [(await cache.read({"mlflow": at_once}, patience=1.0))["mlflow"]]
        seen.append((await cache.read({"mlflow": slowly}))["mlflow"])
        while (result := (await cache.read({"mlflow": slowly}))["mlflow"]) == "connection refused":
            await asyncio.sleep(0.01)
        late.set()
        return [*seen, result, (await cache.read({"mlflow": slowly}, patience=1.0))["mlflow"]]

    assert asyncio.run(asyncio.wait_for(live(), 10)) == ["connection refused", "connection refused", None, "answers"]


BAD = (
    [Problem("MLflow does not answer", "", "", momentary=True)],
    ToolState(False, "nothing answers"),
    Card("p", problems=["champion: refused"]),
    RuntimeError(),
)
GOOD = ([Problem("the backup failed", "", "")], [], ToolState(True), Card("p"), {"a"}, None)


@pytest.mark.parametrize(("result", "shown"), [*((each, False) for each in BAD), *((each, True) for each in GOOD)])
def test_bad_news_that_may_have_passed_is_not_shown_for_long(result, shown):
    async def live() -> object:
        cache, never = Cache(fresh=0.0, passing=0.0, patience=0.0, first=0.0), asyncio.Event()

        async def at_once() -> object:
            if isinstance(result, Exception):
                raise result
            return result

        await cache.read({"asked": at_once}, patience=1.0)
        later = asyncio.create_task(cache.read({"asked": never.wait}))
        found = (await later)["asked"]
        never.set()
        return found

    assert may_pass(result) is not shown
    assert asyncio.run(live()) == (result if shown else None)
