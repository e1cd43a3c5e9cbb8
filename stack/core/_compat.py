"""Where the stack reaches beneath the public API of its tools before any room imports them."""

import typeguard


def skip_instrumentation() -> None:
    """Leave out the run-time type checks of what is imported from now on.

    Tool: Feast
    Reach: typeguard.typechecked
    Why: Feast has its classes of definitions compiled anew at each import to check the types of their arguments: 3 of
    the 4.5 CPU seconds of `import feast`, in each service and run. Python without assertions would leave them out too.
    Upstream: none known
    """
    typeguard.typechecked = _as_it_is  # type: ignore[assignment]


def _as_it_is(target: object) -> object:
    return target
