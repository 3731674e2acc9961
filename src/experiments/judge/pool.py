"""Work spread over sandboxes, one thread each."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from experiments.sandbox import Sandbox

T = TypeVar("T")
R = TypeVar("R")


def parallel(
    tasks: Sequence[T],
    work: Callable[[Sandbox, T], R],
    open_sandbox: Callable[[], Sandbox],
    workers: int,
) -> Iterator[tuple[T, R]]:
    """Yield each task with its result, as they complete.

    Tasks are begun in their order. The first error ends all and is raised here. Threads are
    enough: a worker mostly waits for its guest, and comparing equal bytes is one call.
    """
    todo: queue.SimpleQueue[T | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[T, R] | BaseException | None] = queue.SimpleQueue()
    stop = threading.Event()
    count = max(1, min(workers, len(tasks)))
    for task in tasks:
        todo.put(task)
    for _ in range(count):
        todo.put(None)

    def serve() -> None:
        try:
            with open_sandbox() as sandbox:
                while not stop.is_set() and (task := todo.get()) is not None:
                    done.put((task, work(sandbox, task)))
        except BaseException as error:  # raised again by the caller's thread
            done.put(error)
        finally:
            done.put(None)

    threads = [threading.Thread(target=serve, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        running = count
        while running:
            result = done.get()
            if result is None:
                running -= 1
            elif isinstance(result, BaseException):
                raise result
            else:
                yield result
    finally:
        stop.set()
        for thread in threads:
            thread.join()
