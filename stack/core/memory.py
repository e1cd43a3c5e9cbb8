"""How the C library keeps memory that is free."""

import ctypes
from contextlib import suppress
from typing import Final

LARGE = 4 << 20
"""Bytes from which on an array has memory of its own."""
MMAP_THRESHOLD: Final = -3
"""M_MMAP_THRESHOLD of malloc.h."""


def return_large_arrays() -> None:
    """Have the memory of large arrays returned to the system as soon as they are free.

    By itself, glibc soon keeps arrays of up to 32 MB in its heap, where smaller ones that live on hold it. Other C
    libraries have no such setting.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(MMAP_THRESHOLD, LARGE)
