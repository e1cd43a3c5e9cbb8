"""Features of the projects that have no module here: their Feast definitions follow from project.yaml."""

from stack.core.settings import settings
from stack.features import declared

globals().update(declared.without_module(settings()))
