"""The use cases, a folder each: those of STACK_WORKSPACE, or else of the checkout."""

from stack.core.settings import settings

__path__ = [str(settings().projects)]
