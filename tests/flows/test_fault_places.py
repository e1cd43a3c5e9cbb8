"""The functions at which the slow tests kill a run exist, so that a rename is noticed without them."""

from importlib import import_module
from operator import attrgetter

import pytest

from tests.end_to_end import test_faults

PLACES = {
    place.partition("#")[0].partition("@")[0]
    for places in (
        getattr(test_faults, name) for name in ("INGEST", "DONE_BEFORE", "TRAIN", "PROMOTE", "REPLAY", "FOLLOW")
    )
    for place in places
}


@pytest.mark.parametrize("place", sorted(PLACES))
def test_the_function_exists(place: str) -> None:
    module, _, path = place.partition(":")
    assert callable(attrgetter(path)(import_module(module)))
