"""The source, features and checks that project.yaml declares, for a project without Python files of its own.

Each module has a function ``of(spec)`` that returns what implements its protocol of :mod:`stack.project.contract`.
"""
