"""One project of the stack: its specification, its own modules, its clock."""
