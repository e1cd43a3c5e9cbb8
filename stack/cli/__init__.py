"""The command line: ``stack COMMAND``; each make target is one of these.

The import of a module adds its commands. What a command needs is imported inside it, so that ``stack --help`` answers
at once.
"""

from stack.cli import services, demo, workspace, projects, decisions, models, access  # noqa: I001  # in the order of the help
from stack.cli.common import main

__all__ = ["access", "decisions", "demo", "main", "models", "projects", "services", "workspace"]
