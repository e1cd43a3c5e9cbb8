"""Every setting with its default, as a commented env file: ``python -m stack.core.env_example > .env.example``."""

from pathlib import Path

from stack.core.settings import ROOT, Settings
from stack.core.variables import key

HEADER = "# Copy to .env and uncomment what should differ. An environment variable of the same name wins over the file."
COLUMN = 32


def text() -> str:
    """Return the content of ``.env.example``."""
    lines = [HEADER]
    for name, field in Settings.model_fields.items():
        default = field.default
        if isinstance(default, Path):
            default = default.relative_to(ROOT)
        lines.append(f"{f'# {key(name)}={default}':<{COLUMN}} # {field.description}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(text(), end="")
