"""Functions that run as machine code, compiled at their first call and cached on disk.

The cache lies beside the source, or under the user's cache folder where that is read-only, or in
`NUMBA_CACHE_DIR`; where none can be written, each process compiles for itself. A change of a file
makes the cache of that file stale, but not of others: a compiled function calls none of another
file. Import modules that hold compiled functions inside functions: numba takes half a second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """The function as machine code; other threads run beside it."""
    try:
        made: Function = numba.njit(function, nogil=True, cache=True)
    except RuntimeError:  # "no locator available": no folder for the cache can be written
        made = numba.njit(function, nogil=True)
    return made
