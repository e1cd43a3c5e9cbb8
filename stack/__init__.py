"""The platform of the stack. What a project may import of it is :mod:`stack.kit`."""

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {f"stack.{name}": f"stack.kit.{name}" for name in ("drift", "expectations", "models", "packaged", "rolling")}
"""Former name of a module that projects import -> its name now; the former one is read for one release."""


class _Moved(MetaPathFinder, Loader):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in MOVED else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        warnings.warn(f"{spec.name} has moved: import {MOVED[spec.name]}", FutureWarning, stacklevel=2)
        return import_module(MOVED[spec.name])

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is left to do: the module was executed under its name of now."""


sys.meta_path.append(_Moved())
