import asyncio
import threading

import pytest

from services.prediction.batcher import Batcher


class Work:
    """Doubles numbers, and notes what it was given; `gate` holds it back."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, rows: list[int]) -> list[int]:
        self.gate.wait(5)
        self.batches.append(rows)
        if -1 in rows:
            raise ValueError("a bad row")
        return [2 * row for row in rows]


async def behind_a_first_batch(work: Work, requests: list[list[int]], most: int = 100) -> list:
    """Ask while a first batch is held back, so that the requests wait together; give their answers."""
    batches = Batcher(work, most)
    work.gate.clear()
    first = asyncio.ensure_future(batches.answer([0]))
    while not batches._thread._threads:
        await asyncio.sleep(0)
    waiting = [asyncio.ensure_future(batches.answer(rows)) for rows in requests]
    await asyncio.sleep(0)
    work.gate.set()
    await first
    return await asyncio.gather(*waiting, return_exceptions=True)


def test_requests_that_wait_are_one_batch_and_each_gets_its_own_answers():
    work = Work()
    assert asyncio.run(behind_a_first_batch(work, [[1], [2, 3], [4]])) == [[2], [4, 6], [8]]
    assert work.batches == [[0], [1, 2, 3, 4]]


def test_a_request_is_never_divided():
    work = Work()
    assert asyncio.run(behind_a_first_batch(work, [[1, 2], [3, 4], [5, 6, 7, 8]], most=3)) == [
        [2, 4],
        [6, 8],
        [10, 12, 14, 16],
    ]
    assert work.batches == [[0], [1, 2], [3, 4], [5, 6, 7, 8]]


def test_an_error_reaches_the_guilty_request_alone():
    work = Work()
    answers = asyncio.run(behind_a_first_batch(work, [[1], [-1], [2, 3], [4, -1], [5]]))
    assert [type(answer) for answer in answers] == [list, ValueError, list, ValueError, list]
    assert [answers[at] for at in (0, 2, 4)] == [[2], [4, 6], [10]]


def test_a_caller_who_leaves_while_a_batch_fails_is_not_answered_again():
    async def ask() -> list[list[int]]:
        work = Work()
        batches = Batcher(work, 100)
        work.gate.clear()
        first = asyncio.ensure_future(batches.answer([0]))
        while not batches._thread._threads:
            await asyncio.sleep(0)
        bad, gone = (asyncio.ensure_future(batches.answer([row])) for row in (-1, 1))
        await asyncio.sleep(0)
        work.gate.set()
        await first
        work.gate.clear()
        for _ in range(20):  # until the second batch is in its thread
            await asyncio.sleep(0)
        gone.cancel()
        work.gate.set()
        with pytest.raises(ValueError, match="a bad row"):
            await bad
        with pytest.raises(asyncio.CancelledError):
            await gone
        return work.batches

    assert asyncio.run(ask()) == [[0], [-1, 1], [-1]]


def test_a_caller_who_leaves_does_not_shift_the_others_answers():
    async def ask() -> list[int]:
        work = Work()
        batches = Batcher(work, 100)
        work.gate.clear()
        first = asyncio.ensure_future(batches.answer([0]))
        gone, stays = (asyncio.ensure_future(batches.answer(rows)) for rows in ([1, 2], [3]))
        await asyncio.sleep(0)
        gone.cancel()
        work.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await gone
        await first
        return await stays

    assert asyncio.run(ask()) == [6]


def test_a_lone_request_waits_for_nobody():
    work = Work()
    assert asyncio.run(Batcher(work, 100).answer([1])) == [2]
    assert work.batches == [[1]]
