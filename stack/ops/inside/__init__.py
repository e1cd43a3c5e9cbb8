"""The stack as a container of one of its services sees it."""
