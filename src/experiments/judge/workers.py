"""Threads that run programs, each in a sandbox of its own."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from types import TracebackType
from typing import Self, TypeVar

from experiments.sandbox import Sandbox

T = TypeVar("T")
R = TypeVar("R")


class Workers:
    """A pool of threads with a sandbox each; a context manager.

    Threads are enough: a worker mostly waits for its sandbox, and comparing equal bytes is one
    call.

    Args:
        sandboxes: one per thread; each starts with the first program that is run in it.
    """

    def __init__(self, sandboxes: list[Sandbox]) -> None:
        self._sandboxes = sandboxes
        self._free: queue.SimpleQueue[Sandbox] = queue.SimpleQueue()
        for sandbox in sandboxes:
            self._free.put(sandbox)
        self._own = threading.local()
        self._pool = ThreadPoolExecutor(len(sandboxes), initializer=self._take_sandbox)

    def each(self, work: Callable[[Sandbox, T], R], tasks: Iterable[T]) -> Iterator[tuple[T, R]]:
        """Do tasks, begun in their order; yield each with its result as it is done.

        Raises:
            Exception: what the work raised.
        """
        for done in as_completed([self._pool.submit(self._do, work, task) for task in tasks]):
            yield done.result()

    def close(self) -> None:
        """Begin nothing more, and end the programs that are running."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for sandbox in self._sandboxes:
            sandbox.give_up()
        self._pool.shutdown()
        for sandbox in self._sandboxes:
            sandbox.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _take_sandbox(self) -> None:
        self._own.sandbox = self._free.get()

    def _do(self, work: Callable[[Sandbox, T], R], task: T) -> tuple[T, R]:
        return task, work(self._own.sandbox, task)
