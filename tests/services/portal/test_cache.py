"""The cache returns what is known, waits no longer than it says, and returns nothing stale."""

import asyncio

from services.portal.cache import Cache


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
