"""Work done by threads, each at a desk of its own."""

import heapq
import itertools
import queue
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Generic, TypeVar

D = TypeVar("D")
T = TypeVar("T")
R = TypeVar("R")

Rank = tuple[float, ...]


class Pool(Generic[D, T, R]):
    """Does tasks, no more at once than is allowed just now, which at first is none.

    Threads are enough: a worker mostly waits for its guest, and comparing equal bytes is one
    call.

    Args:
        open_desk: makes what a thread works with, entered and left by that thread. A thread
            starts when it is first allowed.
        work: does a task at a desk.
    """

    def __init__(
        self, open_desk: Callable[[], AbstractContextManager[D]], work: Callable[[D, T], R]
    ) -> None:
        self._open_desk = open_desk
        self._work = work
        self._todo: list[tuple[Rank, int, T]] = []
        self._numbers = itertools.count()
        self._done: queue.SimpleQueue[tuple[T, R] | BaseException] = queue.SimpleQueue()
        self._news = threading.Condition()
        self._allowed = self._busy = 0
        self._is_closed = False
        self._threads: list[threading.Thread] = []

    def put(self, task: T, rank: Rank = ()) -> None:
        """Add a task; of those that wait, the one of the lowest rank is done first."""
        with self._news:
            heapq.heappush(self._todo, (rank, next(self._numbers), task))
            self._news.notify()

    def allow(self, count: int) -> None:
        """Do so many tasks at once from now on; those that are begun are finished."""
        with self._news:
            self._allowed = count
            self._news.notify_all()
            while len(self._threads) < count:
                thread = threading.Thread(target=self._serve, daemon=True)
                thread.start()
                self._threads.append(thread)

    def get(self, wait: bool) -> tuple[T, R] | None:
        """Return the next task that was done, with its result; None if none is and none should be.

        Raises:
            BaseException: what a worker raised, or what was said with `fail`.
        """
        try:
            said = self._done.get(block=wait)
        except queue.Empty:
            return None
        if isinstance(said, BaseException):
            raise said
        return said

    def fail(self, error: BaseException) -> None:
        """Have an error raised by `get`."""
        self._done.put(error)

    def close(self) -> None:
        """Do nothing more, and wait for what is being done."""
        with self._news:
            self._is_closed = True
            self._news.notify_all()
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        try:
            with self._open_desk() as desk:
                while (taken := self._take()) is not None:
                    (task,) = taken
                    try:
                        self._done.put((task, self._work(desk, task)))
                    finally:
                        self._give_back()
        except BaseException as error:  # raised again by the caller's thread
            self.fail(error)

    def _take(self) -> tuple[T] | None:
        with self._news:
            self._news.wait_for(
                lambda: self._is_closed or (self._todo and self._busy < self._allowed)
            )
            if self._is_closed:
                return None
            self._busy += 1
            return heapq.heappop(self._todo)[2:]

    def _give_back(self) -> None:
        with self._news:
            self._busy -= 1
            self._news.notify()
