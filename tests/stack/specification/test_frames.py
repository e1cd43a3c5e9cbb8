import pandas as pd

from stack.specification import frames

AT = pd.Timestamp("2024-01-01", tz="UTC")


def test_missing_columns_and_instants_without_zone_are_named():
    events = pd.DataFrame({"event_ids": ["a"], "event_timestamp": [AT], "label_available_at": [AT.tz_localize(None)]})

    errors = [str(error) for error in frames.problems("features.py", events, [*frames.EVENT, "city"])]

    assert len(errors) == 3
    assert "no column event_id, did you mean 'event_ids'?" in errors[0]
    assert "no column city" in errors[1]
    assert "features.py, column label_available_at" in errors[2]
    assert "without a zone" in errors[2]


def test_instants_of_any_zone_and_unit_are_accepted():
    local = AT.tz_convert("Europe/Berlin").as_unit("s")
    events = pd.DataFrame({"event_id": ["a"], "event_timestamp": [local], "label_available_at": [AT]})

    assert list(frames.problems("features.py", events, frames.EVENT)) == []
