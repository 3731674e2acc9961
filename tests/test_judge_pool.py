"""Work for threads: how many at once, in which order, and what becomes of errors."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest

from experiments.judge.pool import Pool


def taken(pool: Pool, count: int) -> list:
    return [pool.get(wait=True) for _ in range(count)]


def test_nothing_is_done_before_it_is_allowed() -> None:
    pool = Pool(nullcontext, lambda _, task: task + 1)
    pool.put(1)
    time.sleep(0.1)
    assert pool.get(wait=False) is None
    pool.allow(1)
    assert pool.get(wait=True) == (1, 2)
    pool.close()


def test_no_more_are_done_at_once_than_are_allowed_just_now() -> None:
    lock = threading.Lock()
    busy: list[int] = []
    most: list[int] = []

    def work(_: None, task: int) -> None:
        with lock:
            busy.append(task)
            most.append(len(busy))
        time.sleep(0.02)
        with lock:
            busy.remove(task)

    pool = Pool(nullcontext, work)
    for task in range(40):
        pool.put(task)
    pool.allow(3)
    taken(pool, 20)
    assert max(most) == 3
    pool.allow(1)
    taken(pool, 4)  # those that were begun, and one
    del most[:]
    taken(pool, 16)
    assert max(most) == 1
    pool.close()


def test_the_lowest_rank_is_done_first_and_equal_ones_in_their_order() -> None:
    pool = Pool(nullcontext, lambda _, task: None)
    for task, rank in (("c", (1.0, 0.0)), ("d", (1.0, 0.0)), ("b", (1.0, -2.0)), ("a", (0.0,))):
        pool.put(task, rank)
    pool.allow(1)
    assert [task for task, _ in taken(pool, 4)] == list("abcd")
    pool.close()


def test_each_thread_has_a_desk_which_it_leaves_in_the_end() -> None:
    entered, left = [], []

    @contextmanager
    def desk() -> Iterator[int]:
        entered.append(threading.get_ident())
        yield threading.get_ident()
        left.append(threading.get_ident())

    pool = Pool(desk, lambda own, _: own == threading.get_ident())
    pool.allow(2)
    for task in range(10):
        pool.put(task)
    assert all(right for _, right in taken(pool, 10))
    pool.close()
    assert sorted(entered) == sorted(left)
    assert len(entered) == 2


def test_what_a_worker_raises_is_raised_by_get_and_closing_ends_the_others() -> None:
    pool = Pool(nullcontext, lambda _, task: 1 // task)
    pool.allow(2)
    pool.put(0)
    with pytest.raises(ZeroDivisionError):
        pool.get(wait=True)
    pool.close()
    assert not any(thread.is_alive() for thread in pool._threads)


def test_a_desk_that_cannot_be_had_is_an_error_and_no_end_of_waiting() -> None:
    def desk() -> nullcontext:
        raise OSError("no desk")

    pool = Pool(desk, lambda _, task: task)
    pool.allow(1)
    with pytest.raises(OSError, match="no desk"):
        pool.get(wait=True)
    pool.close()
