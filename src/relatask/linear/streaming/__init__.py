"""More rows than memory, more machines than one: sums of batches, and what is learned from them."""

from __future__ import annotations

from typing import Any

_HOMES = {
    "fit_dask": "relatask.linear.streaming.distributed",
    "LostWorkersError": "relatask.linear.streaming.distributed",
    "parquet_batches": "relatask.linear.streaming.parquet",
}

__all__ = ["LostWorkersError", "fit_dask", "parquet_batches"]


def __getattr__(name: str) -> Any:
    """Load what is asked for, and neither Dask nor pyarrow before."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
