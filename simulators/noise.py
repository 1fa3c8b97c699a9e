"""Randomness by place, not by order: the value at an index depends on seed, stream and index alone.

Any window can therefore be drawn on its own. Normals are sums of four 16-bit uniforms (Irwin-Hall), which needs no
transcendental function: numpy's vectorised ones may differ in the last bit with the position in the array, and the
same seed must give the same stream bit for bit.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Four uniforms on [0, 1) have variance 4/12; this scales their sum to variance 1.
_SCALE = 3.0**0.5
_OFFSET = 1 << 40
"""Shifts indices so that those shortly before 1970 still give positive counters."""


def key(seed: int, *names: str) -> NDArray[np.uint64]:
    """Return the Philox key of a named stream, shape (2,)."""
    digest = hashlib.blake2b("\x1f".join((str(seed), *names)).encode(), digest_size=16).digest()
    return np.frombuffer(digest, np.uint64)


def raw(stream: NDArray[np.uint64], first: int, count: int) -> NDArray[np.uint64]:
    """Return the 64 random bits of each index in `[first, first + count)`."""
    at = first + _OFFSET
    # One step of Philox yields four words.
    bits = np.random.Philox(key=stream, counter=at // 4)
    return np.asarray(bits.random_raw(count + at % 4)[at % 4 :], np.uint64)


def normal(stream: NDArray[np.uint64], first: int, count: int) -> NDArray[np.float64]:
    """Return near-normal values of mean 0 and variance 1, bounded by ±3.47, for `[first, first + count)`."""
    bits = raw(stream, first, count)
    total = np.zeros(count, np.uint64)
    for shift in (0, 16, 32, 48):
        total += (bits >> np.uint64(shift)) & np.uint64(0xFFFF)
    return (total.astype(np.float64) / 65_536.0 - 2.0) * _SCALE


def uniform(stream: NDArray[np.uint64], first: int, count: int) -> NDArray[np.float64]:
    """Return values in [0, 1) for `[first, first + count)`."""
    return (raw(stream, first, count) >> np.uint64(11)).astype(np.float64) / float(1 << 53)
