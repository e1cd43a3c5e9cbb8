"""The command line: ``stack COMMAND``; each make target is one of these.

A module a topic, whose import adds its commands. What a command needs is imported inside it, so that ``stack --help``
answers at once.
"""

from stack.cli import services, backups, machines, authoring, pipelines, models, takeaway  # noqa: I001  # in the order of the help
from stack.cli.common import main

__all__ = ["authoring", "backups", "machines", "main", "models", "pipelines", "services", "takeaway"]
