"""The ways to run the stack: the package ``stack.ops.<name>`` holds each."""

from typing import Literal, get_args

# In the order in which their state is queried: processes belong to a single home, while containers of the same
# name may belong to another checkout.
RuntimeName = Literal["local", "compose"]
RUNTIMES: tuple[RuntimeName, ...] = get_args(RuntimeName)
