"""Free memory goes back to the system."""

import subprocess
import sys

import pytest

ARRAYS = """
import numpy as np, psutil
from stack.core import memory
memory.return_large_arrays()
np.ones(2 << 20)  # of this size, glibc would keep the next ones
before = psutil.Process().memory_info().rss
large, small = zip(*((np.ones(1 << 20), np.ones(10_000)) for _ in range(30)))
del large
print((psutil.Process().memory_info().rss - before) >> 20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc has the setting")
def test_large_arrays_are_returned_when_smaller_ones_live_on():
    command = [sys.executable, "-c", ARRAYS]
    assert int(subprocess.run(command, capture_output=True, check=True, text=True).stdout) < 20
