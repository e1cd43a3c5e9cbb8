"""Edit the text of a YAML file by its top-level sections, so that comments elsewhere stay."""

import re


def replaced(text: str, name: str, new: str) -> str:
    """Return the text with a section replaced by another one; appended where there is none."""
    lines = text.splitlines(keepends=True)
    starts = [number for number, line in enumerate(lines) if re.match(rf"{name}\s*:", line)]
    if not starts:
        return f"{text.rstrip()}\n\n{new}"
    start = starts[0]
    inside = (number for number in range(start + 1, len(lines)) if re.match(r"[^\s#]", lines[number]))
    end = next(inside, len(lines))
    while end > start + 1 and not re.match(r"\s+[^\s#]", lines[end - 1]):  # what precedes the next section is its own
        end -= 1
    return "".join([*lines[:start], new, *lines[end:]])
