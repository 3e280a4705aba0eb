"""Reading ahead in a thread, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from queue import Full, Queue
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")
_END = object()


def ahead(items: Iterable[T], most: int) -> Iterator[T]:
    """Give the same items in the same order, up to `most` of them read ahead by a thread.

    What the thread raises is raised here, in its place; the thread ends when the iterator is closed.

    Examples
    --------
    >>> list(ahead(range(4), 2))
    [0, 1, 2, 3]
    """
    queue: Queue[tuple[object, BaseException | None]] = Queue(most)
    stop = Event()

    def put(item: object, error: BaseException | None = None) -> None:
        while not stop.is_set():
            with suppress(Full):
                queue.put((item, error), timeout=0.05)
                return

    def read() -> None:
        try:
            for item in items:
                put(item)
                if stop.is_set():
                    return
        except BaseException as error:
            put(_END, error)
        else:
            put(_END)

    thread = Thread(target=read, daemon=True, name="relatask-prefetch")
    thread.start()
    try:
        while True:
            item, error = queue.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item  # type: ignore[misc]
    finally:
        stop.set()
        thread.join()
