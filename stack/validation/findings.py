"""The results of Great Expectations as failures, warnings and wrong rows of a batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

LONG = ("unexpected_list", "unexpected_index_list", "unexpected_index_query", "partial_unexpected_index_list")
"""Lists as long as the batch, of no use in a page."""


@dataclass
class Findings:
    """The results of a batch's expectations: failures, warnings and wrong rows."""

    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    _wrong: dict[str, set[int]] = field(default_factory=dict)

    def wrong(self, table: str) -> list[int]:
        """Positions of a table's wrong rows."""
        return sorted(self._wrong.get(table, ()))

    def add(self, name: str, frame: pd.DataFrame, result: Any) -> None:
        """Sort one result into failures, warnings and wrong rows; drop its lists that are as long as the batch."""
        config, details = result.expectation_config, result.result
        wrong = details.get("unexpected_index_list") or []
        where = f"{name}.{config.kwargs['column']}" if "column" in config.kwargs else name
        text = f"{where}: expected {config.description or config.type}; found {_observed(frame, result)}"
        if not result.success:
            (self.warnings if config.severity == "warning" else self.failures).append(text)
        elif wrong and (config.meta or {}).get("scope") == "row":
            self._wrong.setdefault(name, set()).update(wrong)
            self.warnings.append(f"{text}; taken out")
        for key in LONG:
            details.pop(key, None)


def _observed(frame: pd.DataFrame, result: Any) -> str:
    """Describe what was observed: the missing columns, or how many values are wrong and the first of them."""
    details = result.result
    if "unexpected_count" not in details:
        missing = details.get("details", {}).get("mismatched", {}).get("missing")
        return f"no {', '.join(missing)}" if missing else str(details.get("observed_value", result.exception_info))
    rows, values = details.get("unexpected_index_list") or [], details.get("partial_unexpected_list") or []
    labelled = not isinstance(frame.index, pd.RangeIndex)
    pairs = zip(rows, values, strict=False)
    texts = list(dict.fromkeys(f"{row}: {_short(value)}" if labelled else _short(value) for row, value in pairs))
    more = ", ..." if details["unexpected_count"] > 3 else ""
    return f"{details['unexpected_count']} of {details['element_count']} wrong ({', '.join(texts[:3])}{more})"


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return "-".join(str(part) for part in value.values())
    return f"{value:.4g}" if isinstance(value, float) else str(value)
