"""The one loop over bytes that NumPy cannot do: each message's length says where the next one begins. Imported inside functions only (Numba)."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apps.core.compilation import Compiler

compiled = Compiler("framing", (Path(__file__),))


@compiled
def message_starts(data: NDArray[np.uint8], starts: NDArray[np.int64]) -> tuple[int, int]:
    """Write where each complete message begins; their number, and the bytes that they take. An empty message ends the reading."""
    at, count = 0, 0
    while at + 2 < len(data):
        length = data[at] * 256 + data[at + 1]
        if length == 0 or at + 2 + length > len(data):
            break
        starts[count] = at + 2
        count += 1
        at += 2 + length
    return count, at
