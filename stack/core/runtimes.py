"""The ways to run the stack: the package ``stack.ops.<name>`` holds each."""

from __future__ import annotations

from typing import Literal, get_args

# In the order in which they are asked whether they run: processes belong to one home, while containers of the same
# name may belong to another checkout.
RuntimeName = Literal["local", "compose"]
RUNTIMES: tuple[RuntimeName, ...] = get_args(RuntimeName)
