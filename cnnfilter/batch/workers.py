"""A few threads that take jobs in turn; the main thread stays free to hear an interruption."""

import threading
from collections.abc import Callable, Generator, Iterable
from queue import SimpleQueue
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def run(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Generator[tuple[Item, Result | Exception]]:
    """Do `work` on every item, `workers` at a time, and yield each as it ends.

    Parameters
    ----------
    work : callable
        Called in a worker thread. An exception that it raises is yielded in its result's place.
    items : iterable
        Taken one by one, as workers get free: at most `workers` items are ever in the making.
    workers : int
        How many threads. Reading, filtering and writing of different items overlap in them, as the
        codecs and the filters let other threads run.

    Yields
    ------
    tuple of item and result
        In the order in which they end. The threads do not hold up the end of the process: whoever
        is interrupted can leave at once. Nothing new is begun once the generator is closed.
    """
    ended: SimpleQueue[tuple[Item, Result | Exception] | None] = SimpleQueue()
    waiting = iter(items)
    taking = threading.Lock()

    closed = threading.Event()

    def take_turns() -> None:
        while not closed.is_set():
            with taking:
                try:
                    item = next(waiting)
                except StopIteration:
                    break
            try:
                ended.put((item, work(item)))
            except Exception as error:
                ended.put((item, error))
        ended.put(None)

    for started in range(workers):
        try:
            threading.Thread(target=take_turns, daemon=True).start()
        except RuntimeError:  # no more threads for this user: those that are there do it all
            if not started:
                raise
            workers = started
            break
    try:
        while workers:
            outcome = ended.get()
            if outcome is None:
                workers -= 1
            else:
                yield outcome
    finally:
        closed.set()
