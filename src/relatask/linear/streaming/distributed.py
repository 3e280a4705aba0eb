"""Fitting from rows on many machines: Dask sums up each partition where it lies, and adds the sums as a tree."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
from sklearn.base import clone

from relatask.linear.streaming.fitting import collector, learned_from_sums, tell_empty
from relatask.linear.streaming.pieces import joined, piece
from relatask.notices import InputError

M = TypeVar("M")

LOOK = 0.5
"""Seconds between looks at the workers."""


class LostWorkersError(RuntimeError):
    """The scheduler, all of its workers, or one worker after another went away before the sums were there."""


def fit_dask(
    model: M,
    partitions: Any,
    *,
    y: Any = None,
    tasks: Any = None,
    sample_weight: Any = None,
    client: Any = None,
    patience: float = 60.0,
) -> M:
    """Fit a linear regressor on rows that lie in partitions, on the workers of a Dask cluster.

    Every partition becomes the statistics of its tasks where it is read; these are added in pairs, and only the sum
    of all comes here: the model is that of `fit` on all rows, to rounding. A worker that dies in mid-run costs the work
    that it had done: Dask gives its partitions to others.

    Parameters
    ----------
    model : MultiTaskRegressor or PooledRegressor
        With squared loss; it is fitted in place, whole or not at all.
    partitions : iterable, or dask DataFrame
        (X, y), (X, y, tasks) or (X, y, tasks, sample_weight) each, as `fit` takes them; a function without arguments
        that gives one (and is called on a worker, to read a file there), a delayed object, or a future.
    y, tasks, sample_weight : column names
        Of a dask DataFrame; all other columns are features.
    client : distributed.Client, address, or None
        Of the scheduler; None for the current client.
    patience : float
        Seconds without any worker, or without the scheduler, after which this gives up.

    Returns
    -------
    model

    Raises
    ------
    InputError
        For partitions that cannot be used or do not go together, and a loss that has no sums.
    LostWorkersError
        If workers or the scheduler went away for good.

    Notes
    -----
    A strength of "auto" is chosen by folds to which each partition's rows are dealt out by their number within their
    task there: other folds than those of `fit` and `fit_batches`.

    Examples
    --------
    >>> import numpy as np
    >>> from distributed import Client, LocalCluster
    >>> from relatask.linear import MultiTaskRegressor
    >>> from relatask.linear.streaming import fit_dask
    >>> rng = np.random.default_rng(0)
    >>> parts = [(rng.standard_normal((20, 2)), rng.standard_normal(20), [k % 2 for k in range(20)]) for _ in range(3)]
    >>> with LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster, Client(cluster) as client:
    ...     fit_dask(MultiTaskRegressor(), parts, client=client).coef_.shape
    (2, 2)
    """
    from relatask.linear.estimators import MultiTaskRegressor
    from relatask.linear.pooled_regressor import PooledRegressor

    if not isinstance(model, MultiTaskRegressor | PooledRegressor):
        raise InputError(f"model={model!r:.60} is not usable; expected MultiTaskRegressor or PooledRegressor.")
    held = collector(model)
    parts = _parts(partitions, y, tasks, sample_weight)
    if not parts:
        raise InputError("there are no partitions; expected at least one.")
    client, own = _client(client, patience)
    try:
        bare, folds = clone(model), held.folds
        futures = [client.compute(part) if hasattr(part, "__dask_graph__") else part for part in parts]
        level = [client.submit(piece, bare, folds, number, part, pure=False) for number, part in enumerate(futures)]
        del parts, futures
        leaves = level
        while len(level) > 1:
            pairs = [level[a : a + 2] for a in range(0, len(level), 2)]
            level = [client.submit(joined, *pair, pure=False) if len(pair) == 2 else pair[0] for pair in pairs]
        total = _awaited(client, level[0], leaves, patience)
    finally:
        if own:
            client.close(timeout=2)
    if total is None:
        raise InputError("the partitions hold no rows with labels; expected at least one.")
    tell_empty(total.tasks, np.sum([part.count for part in total.folds], axis=0))
    learned = learned_from_sums(model, total.tasks, total.layout, total.folds, total.names)
    return model._stored(learned)


def _parts(partitions: Any, y: Any, tasks: Any, sample_weight: Any) -> Sequence[Any]:
    """What makes a batch each: of a dask DataFrame its partitions taken apart by columns."""
    if not hasattr(partitions, "to_delayed"):
        if (y, tasks, sample_weight) != (None, None, None):
            raise InputError("y, tasks and sample_weight name columns of a dask DataFrame; partitions hold their own.")
        if isinstance(partitions, str | bytes) or not isinstance(partitions, Iterable):
            raise InputError(
                f"partitions={partitions!r:.60} is not usable; give an iterable of partitions, or a dask DataFrame."
            )
        return list(partitions)
    if not hasattr(partitions, "columns"):
        raise InputError(
            f"partitions is a {type(partitions).__name__}, whose columns have no names; give a dask DataFrame, or an "
            "iterable of (X, y, tasks), delayed or not."
        )
    if y is None:
        raise InputError("y=None: which column of the dask DataFrame holds the labels? Give y='its name'.")
    names = list(partitions.columns)
    for what, name in (("y", y), ("tasks", tasks), ("sample_weight", sample_weight)):
        if name is not None and name not in names:
            raise InputError(f"{what}={name!r} is not among the columns {names}.")
    from dask import delayed

    take = delayed(_columns)
    return [take(part, y, tasks, sample_weight) for part in partitions.to_delayed()]


def _columns(frame: Any, y: Any, tasks: Any, sample_weight: Any) -> tuple[Any, Any, Any, Any]:
    """A partition's features, labels, tasks and weights."""
    taken = [name for name in (y, tasks, sample_weight) if name is not None]
    rest = frame[[name for name in frame.columns if name not in taken]]
    return (
        rest,
        frame[y],
        None if tasks is None else frame[tasks],
        None if sample_weight is None else frame[sample_weight],
    )


def _client(client: Any, patience: float) -> tuple[Any, bool]:
    """A client, and whether it was made here."""
    try:
        from distributed import Client, get_client
    except ImportError as error:
        raise InputError('fit_dask needs Dask: pip install "relatask[dask]"') from error
    if client is None:
        try:
            return get_client(), False
        except ValueError as error:
            raise InputError("there is no Dask client; give client= a distributed.Client or an address.") from error
    if isinstance(client, Client):
        return client, False
    if not isinstance(client, str):
        raise InputError(f"client={client!r:.60} is not usable; give a distributed.Client or a scheduler's address.")
    try:
        return Client(client, timeout=min(10.0, patience), set_as_default=False), True
    except (OSError, TimeoutError, ValueError) as error:
        raise LostWorkersError(
            f"no scheduler answers at {client!r} ({type(error).__name__}); start it (dask scheduler), or correct the "
            "address."
        ) from error


def _awaited(client: Any, future: Any, leaves: Sequence[Any], patience: float) -> Any:
    """The result; an error instead of waiting for workers that never come back."""
    from distributed import KilledWorker
    from distributed.comm import CommClosedError

    last_seen, answered = time.monotonic(), True
    while True:
        try:
            if future.status in ("finished", "error", "cancelled", "lost"):
                if future.status in ("cancelled", "lost"):
                    raise LostWorkersError(_told("the scheduler went away", leaves))
                return future.result(timeout=patience)
            if client.status == "running" and _workers(client):
                last_seen = time.monotonic()
            answered = client.status == "running"
        except KilledWorker as error:
            told = "workers died one after another at the same partition (out of memory, most often)"
            raise LostWorkersError(f"{_told(told, leaves)} Smaller partitions, or workers with more memory.") from error
        except (CommClosedError, TimeoutError, OSError) as error:
            answered = False
            if client.status == "closed":
                raise LostWorkersError(_told("the scheduler went away", leaves)) from error
        if client.status == "closed":
            raise LostWorkersError(_told("the scheduler went away", leaves))
        if time.monotonic() - last_seen > patience:
            if answered:
                client.cancel(leaves, force=True)
            what = "there was no worker" if answered else "the scheduler did not answer"
            raise LostWorkersError(_told(f"for {patience:g} seconds {what}", leaves))
        time.sleep(LOOK)


def _workers(client: Any) -> Any:
    """Workers that the scheduler knows now."""
    return client.sync(client.scheduler.ncores, callback_timeout=5)


def _told(what: str, leaves: Sequence[Any]) -> str:
    done = sum(leaf.status == "finished" for leaf in leaves)
    return (
        f"{what}; {done} of {len(leaves)} partitions were summed up, and the model is as it was. Start workers (dask "
        "worker ADDRESS) and fit again."
    )
