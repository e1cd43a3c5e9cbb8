"""Fill in the templates of files that a project is made of: YAML and Python, no HTML."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def filled(template: Path, values: dict[str, Any], **filters: Callable[..., Any]) -> str:
    """Return the text of a template with its values; one that is missing is an error."""
    jinja = Environment(  # noqa: S701  # writes no HTML
        loader=FileSystemLoader(template.parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    jinja.filters |= filters
    return jinja.get_template(template.name).render(values)
