"""`compiled`: functions that numba compiles at their first call, kept on disk where the disk allows it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import cached_property, update_wrapper
from types import FunctionType
from typing import Any

FASTMATH = {"reassoc", "contract", "arcp", "nsz"}
"""Sums may be reordered, so that they vectorise; NaN and inf keep their meaning."""


class Compiled:
    """A function that compiles itself when it is first called; see `compiled`."""

    def __init__(self, function: FunctionType) -> None:
        self._function = function
        self._cached = True
        update_wrapper(self, function)

    def __call__(self, *args: Any) -> Any:
        """Compile for the types of these arguments if need be, and call."""
        try:
            return self._dispatcher(*args)
        except (OSError, EOFError, pickle.UnpicklingError):
            # Only reading and writing the cache raises these: a full disk, a folder that became read-only, a cut file.
            if not self._cached:
                raise
            self._forget_cache()
            return self._dispatcher(*args)

    def __reduce__(self) -> str:
        """Pickle by name, as functions do."""
        return self._function.__qualname__

    @cached_property
    def _dispatcher(self) -> Callable[..., Any]:
        import numba

        options: dict[str, Any] = {"fastmath": FASTMATH, "error_model": "numpy", "nogil": True}
        function = self._linked()
        if self._cached:
            try:
                return numba.njit(cache=True, **options)(function)
            except (RuntimeError, OSError):  # no folder can be written
                self._cached = False
        return numba.njit(**options)(function)

    def _forget_cache(self) -> None:
        """Compile anew at the next call, this function and those that it calls."""
        self._cached = False
        self.__dict__.pop("_dispatcher", None)
        for other in self._calls().values():
            other._forget_cache()

    def _calls(self) -> dict[str, Compiled]:
        """The compiled functions that this one calls by a global name."""
        function = self._function
        names = {n: function.__globals__.get(n) for n in function.__code__.co_names}
        return {n: v for n, v in names.items() if isinstance(v, Compiled) and v is not self}

    def _linked(self) -> FunctionType:
        """The function, with those that it calls compiled too."""
        function, others = self._function, {n: v._dispatcher for n, v in self._calls().items()}
        if not others:
            return function
        linked = FunctionType(function.__code__, {**function.__globals__, **others}, function.__name__)
        linked.__module__, linked.__qualname__ = function.__module__, function.__qualname__
        return linked


def compiled(function: Callable[..., Any]) -> Compiled:
    """Decorate a function to be compiled by numba at its first call.

    Neither importing nor decorating loads numba. Machine code is cached beside the source file, in numba's folder of
    the user, or in ``NUMBA_CACHE_DIR``; where none can be written, every process compiles anew. Arguments are
    positional. A compiled function may call another of the *same file* (numba tells a stale cache by the caller's
    file only), which must be defined at module level, as pickling by name asks too.

    Parameters
    ----------
    function : callable
        In numba's subset of Python, on arrays and scalars.

    Returns
    -------
    Compiled
        To be called as the function.

    Examples
    --------
    >>> from relatask.compiled import compiled
    >>> @compiled
    ... def total(values):
    ...     out = 0.0
    ...     for value in values:
    ...         out += value
    ...     return out
    >>> import numpy as np
    >>> total(np.array([1.0, 2.5]))
    3.5
    """
    return Compiled(function)  # type: ignore[arg-type]
