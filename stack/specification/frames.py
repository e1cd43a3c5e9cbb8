"""The columns that frames carry from one room to another, by name and dtype."""

from __future__ import annotations

from typing import Final

EVENT_ID = "event_id"
"""Name of an event, unique in its project."""
EVENT_TIMESTAMP = "event_timestamp"
"""Instant that an event is asked about, or from which on a feature row holds."""
LABEL_AVAILABLE_AT = "label_available_at"
"""Instant at which the outcome of an event is known."""
AVAILABLE_AT = "available_at"
"""Instant at which a raw row is known, where ``tables`` of project.yaml names no other column."""
ASKED_AT = "asked_at"
"""Instant of a request, on the project's clock."""
FEATURES_AT = "features_at"
"""Event timestamp of the oldest feature row that an answer used."""

INSTANT: Final = "datetime64[us, UTC]"
"""The dtype of every instant."""
EVENT = (EVENT_ID, EVENT_TIMESTAMP, LABEL_AVAILABLE_AT)
"""What a frame of events has besides the request fields and the label; the last two are instants."""
