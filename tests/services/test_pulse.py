"""The pulse gives what is known, waits no longer than it says, and gives nothing that is old."""

from __future__ import annotations

import asyncio

from services.portal.pulse import Pulse


def test_what_was_true_long_ago_is_not_shown():
    async def live() -> list[object]:
        pulse, late = Pulse(keep=0.0, stale=0.05, patience=0.0, first=0.0), asyncio.Event()

        async def at_once() -> str:
            return "connection refused"

        async def slowly() -> str:
            await late.wait()
            return "answers"

        seen = [(await pulse.read({"mlflow": at_once}, patience=1.0))["mlflow"]]
        seen.append((await pulse.read({"mlflow": slowly}))["mlflow"])
        while (found := (await pulse.read({"mlflow": slowly}))["mlflow"]) == "connection refused":
            await asyncio.sleep(0.01)
        late.set()
        return [*seen, found, (await pulse.read({"mlflow": slowly}, patience=1.0))["mlflow"]]

    assert asyncio.run(asyncio.wait_for(live(), 10)) == ["connection refused", "connection refused", None, "answers"]
