"""One project of the stack: its specification, its own modules, its clock, its data, models and predictions."""

from stack.project.project import Project

__all__ = ["Project"]
