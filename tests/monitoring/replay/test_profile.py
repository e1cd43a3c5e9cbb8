"""The page about where the time of a replay went, from what its processes have recorded."""

from datetime import UTC, datetime, timedelta

import pytest

from monitoring.replay import profile as profile_page
from stack.core.errors import StackError
from stack.core.pages import PROFILE
from stack.core.profile import Cost, Recorded
from stack.core.settings import Settings
from tests.browser.chromium import DESKTOP, EXECUTABLE, PHONE, assert_sound, chromium, look

FIRST, DAY = datetime(2013, 3, 2, tzinfo=UTC), timedelta(days=1)
LAST = FIRST + 6 * DAY
RECORDS = [
    *(
        Recorded(FIRST + at * DAY, "day", {"ask for predictions": Cost(1, 0.5, 20), "other": Cost(0.5)})
        for at in range(7)
    ),
    *(Recorded(FIRST + at * DAY, "ahead", {"validate the batch": Cost(9, 8, 1)}) for at in range(6)),
    Recorded(LAST, "review", {"compare the window": Cost(4, 3, 1), profile_page.WAIT: Cost(70, 0.1, 1)}),
    Recorded(LAST, "training", {"search": Cost(40, 75, 1), "other": Cost(20, 5, 1)}),
]


def test_a_wait_is_what_it_lasted_beyond_the_training():
    days = profile_page.by_day(RECORDS)
    assert list(days) == [FIRST + at * DAY for at in range(7)]
    assert days[LAST][profile_page.Step("review", profile_page.WAIT)] == Cost(10, 0.1, 1)
    total = profile_page.total(days.values())
    assert total[profile_page.Step("day", "ask for predictions")] == Cost(7, 3.5, 140)


def test_what_runs_beside_the_days_is_no_part_of_their_time(spec):
    page = profile_page.html(spec, RECORDS)
    assert "7 days in 84 s" in page  # 7 x 1.5, a review of 14, a training of 60
    assert page.index("search") < page.index("wait for the training") < page.index("validate the batch")
    assert "Seconds by replayed day" in page


def test_without_a_record_it_says_how_to_make_one(spec, tmp_path):
    with pytest.raises(StackError, match="PROFILE=1"):
        profile_page.save(Settings(home=tmp_path), spec)


@pytest.mark.browser
@pytest.mark.skipif(not EXECUTABLE.exists(), reason=f"needs {EXECUTABLE}")
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_browser_shows_it_and_asks_nobody(spec, tmp_path, size):
    page = tmp_path / PROFILE
    page.write_text(profile_page.html(spec, RECORDS))

    with chromium() as browser:
        seen = look(
            browser, page.as_uri(), shows="Seconds by replayed day", size=size, screenshot=tmp_path / "x.png", settle=0
        )

    assert_sound(seen)
    assert seen.width <= size[0]
