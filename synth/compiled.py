"""Compiles functions to machine code at their first call and caches the result on disk.

The cache is next to the source, in the user's cache folder if the source is read-only, or in
`NUMBA_CACHE_DIR`. If none of these is writable, each process compiles for itself. A compiled
function may call compiled functions of other files and use their constants: import them by name, at
the top of the file. Importing numba takes half a second: import modules with compiled functions
inside functions.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from numba.core.dispatcher import Dispatcher

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compiles the function. It releases the GIL, so other threads run at the same time."""
    try:
        made: Any = numba.njit(function, nogil=True, cache=True)
    except RuntimeError:  # "no locator available": no folder for the cache can be written
        made = numba.njit(function, nogil=True)
    else:
        if isinstance(made, Dispatcher):  # with NUMBA_DISABLE_JIT it is the function itself
            # numba stamps a cache file with the hash of the function's own file, although the
            # machine code includes what the file imports; it has no setting for this
            cache: Any = made._cache  # type: ignore[attr-defined]  # left out of numba's types
            file = cache._cache_file
            file._source_stamp = file._source_stamp, imported(function.__globals__)
    result: Function = made
    return result


def imported(names: dict[str, Any]) -> str:
    """A digest of what machine code may include from other files, given a module's global names:
    the constants, and the files of compiled functions with all that these import."""
    digest = hashlib.sha256()
    for name, given in sorted(names.items()):
        value = getattr(given, "_fields", given)  # of a named tuple: machine code counts its places
        if is_constant(value) and not name.startswith("__"):
            digest.update(f"{name} = {value!r}\n".encode())
        elif isinstance(value, Dispatcher) and value.py_func.__globals__ is not names:
            digest.update(Path(inspect.getfile(value.py_func)).read_bytes())
            digest.update(imported(value.py_func.__globals__).encode())
    return digest.hexdigest()


def is_constant(value: object) -> bool:
    """Whether numba compiles the value of this name into the machine code."""
    if isinstance(value, tuple):
        return all(map(is_constant, value))
    return isinstance(value, (int, float, str, bytes, np.generic))
