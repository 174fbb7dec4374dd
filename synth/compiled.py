"""Compiles functions to machine code at their first call and caches the result on disk.

The cache is next to the source, in the user's cache folder if the source is read-only, or in
`NUMBA_CACHE_DIR`. If none of these is writable, each process compiles for itself. Changing a file
invalidates only that file's cache, so a compiled function must not call one in another file.
Importing numba takes half a second: import modules with compiled functions inside functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compiles the function. It releases the GIL, so other threads run at the same time."""
    try:
        made: Function = numba.njit(function, nogil=True, cache=True)
    except RuntimeError:  # "no locator available": no folder for the cache can be written
        made = numba.njit(function, nogil=True)
    return made
