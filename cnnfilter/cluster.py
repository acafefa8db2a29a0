"""Workers of a scheduler of dask.distributed: found, compared, given tasks; and which input kills them.

Nothing here knows of images. A task is a tuple of items, and a worker calls one function with it; this module
is also what the workers of this machine load when they start (`dask_setup`).
"""

import asyncio
import os
import re
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeAlias, TypeVar
from uuid import uuid4

from cnnfilter._version import __version__
from cnnfilter.errors import CnnFilterError, ParameterError, shown

Client: TypeAlias = Any
Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 3
"""Tasks that are handed out for each thread of a worker: it begins the next one without asking."""

PATIENCE = 4.0
"""Seconds that a scheduler has to answer, and to have a worker."""

DESERTED = 60.0
"""Seconds without any worker after which a run is given up."""

LAST = 10.0
"""Seconds that workers have to leave what nobody waits for any more."""

_SCHEDULER = re.compile(r"local:([1-9]\d{0,3})|(?:tcp|tls)://\S+:\d{1,5}", re.ASCII)


class ClusterError(CnnFilterError, ConnectionError):
    """Workers that are not reached, or not fit, or that were lost."""


class KilledWorkers(CnnFilterError):
    """A task whose workers ended, one after the other."""


class Described(NamedTuple):
    """What a worker says of itself.

    Attributes
    ----------
    cnnfilter, numpy : str
        Versions.
    processor : str
    unseen : tuple of str
        Paths that it does not find.
    """

    cnnfilter: str
    numpy: str
    processor: str
    unseen: tuple[str, ...]


def described(paths: Sequence[str] = ()) -> Described:
    """Describe this process."""
    import numpy

    from cnnfilter.core.jit.processor import description

    unseen = tuple(path for path in paths if not os.path.exists(path))
    return Described(__version__, numpy.__version__, description(), unseen)


class Workers:
    """The workers of a scheduler.

    Attributes
    ----------
    remarks : tuple of str
        What a user should know of them: results of other versions or processors may differ in last bits.
    """

    def __init__(self, client: Client, name: str, paths: Sequence[str]) -> None:
        self.client, self.name = client, name
        self.counted, self.threads = 0.0, 0
        seen = tuple(filter(os.path.exists, paths))
        self.remarks = _compared(client.run(described, seen, on_error="return"))

    def window(self) -> int:
        """Return how many tasks are to be under way."""
        if time.monotonic() - self.counted > 1:
            self.counted, self.threads = time.monotonic(), sum(self.client.nthreads().values())
        return AHEAD * max(1, self.threads)

    def do(
        self, work: Callable[[tuple[Item, ...]], Result], tasks: Iterable[tuple[Item, ...]]
    ) -> Generator[tuple[tuple[Item, ...], Result | Exception]]:
        """Have tasks done, and yield each as it ends, with what became of it.

        A task that ends its workers is done again item by item, each of them alone, when all others are
        done: only the items that do it fail. A task may be done twice.

        Parameters
        ----------
        work : callable
            Called with a task on a worker.
        tasks : iterable of tuple
            Taken one by one, as workers get free.

        Yields
        ------
        tuple of task and result
            Whoever does not wait for all closes the generator: then no task is being done any more.

        Raises
        ------
        ClusterError
            A scheduler, or workers, that were lost.
        """
        suspects: list[tuple[Item, ...]] = []
        for task, outcome in self._ended(work, tasks, self.window):
            if isinstance(outcome, KilledWorkers):
                suspects += [(item,) for item in task]
            else:
                yield task, outcome
        yield from self._ended(work, suspects, lambda: 1)

    def _ended(
        self,
        work: Callable[[tuple[Item, ...]], Result],
        tasks: Iterable[tuple[Item, ...]],
        window: Callable[[], int],
    ) -> Generator[tuple[tuple[Item, ...], Result | Exception]]:
        ended: SimpleQueue[Any] = SimpleQueue()
        under_way: dict[str, tuple[Any, tuple[Item, ...]]] = {}
        waiting = iter(tasks)
        try:
            while True:
                with _losing(self.name):
                    for task in islice(waiting, max(0, window() - len(under_way))):
                        future = self.client.submit(work, task, key=f"cnnfilter-{uuid4().hex}", pure=False)
                        under_way[future.key] = future, task
                        future.add_done_callback(ended.put)
                    if not under_way:
                        return
                    key = self._next(ended).key
                future, task = under_way.pop(key)
                outcome = self._outcome(future)
                del future  # so that the workers forget it
                yield task, outcome
        finally:
            if under_way and self.client.status == "running":
                with suppress(OSError):  # lost: then there is nothing to be stopped
                    self.client.cancel([future for future, _ in under_way.values()])
                    self._wait_for_last({*under_way})

    def _next(self, ended: "SimpleQueue[Any]") -> Any:
        """Wait for the next task that ends."""
        deserted = 0.0
        while True:
            try:
                return ended.get(timeout=1)
            except Empty:
                pass
            if self.client.status != "running":
                raise ClusterError(f"{self.name}: the scheduler was lost")
            deserted = 0.0 if self.client.nthreads() else deserted or time.monotonic()
            if deserted and time.monotonic() - deserted > DESERTED:
                raise ClusterError(f"{self.name}: no worker has been left for {DESERTED:g} s")

    def _wait_for_last(self, keys: set[str]) -> None:
        """Wait until no worker does a task any more; each ends as soon as it asks whether it is wanted."""
        until = time.monotonic() + LAST
        while time.monotonic() < until:
            if not any(self.client.run(_is_doing, keys, on_error="ignore").values()):
                return
            time.sleep(0.05)

    def _outcome(self, future: Any) -> Any:
        from distributed import CancelledError, KilledWorker

        try:
            return future.result()
        except KilledWorker as error:
            count = error.allowed_failures + 1
            return KilledWorkers(f"{count} workers ended while they did this: it may take too much memory")
        except CancelledError as error:
            raise ClusterError(f"{self.name}: the scheduler was lost") from error
        except Exception as error:  # of the function
            return error


@contextmanager
def workers(scheduler: str, paths: Sequence[str] = ()) -> Iterator[Workers]:
    """Reach the workers of a scheduler, or start some on this machine.

    Parameters
    ----------
    scheduler : str
        ``tcp://HOST:PORT`` (or ``tls://``), or ``local:N`` for N processes of one thread each, which end with
        the block.
    paths : sequence of str
        Files or folders that each worker must find, if they are there.

    Raises
    ------
    ParameterError
        Another word.
    ClusterError
        A scheduler that does not answer, that has no workers, or whose workers are not fit.
    """
    match = _SCHEDULER.fullmatch(scheduler)
    if match is None:
        raise ParameterError(f"scheduler {shown(scheduler)} is none; give tcp://HOST:PORT, or local:N")
    try:
        import distributed
    except ImportError as error:
        words = "a scheduler takes the package distributed: pip install 'cnnfilter[cluster]'"
        raise ClusterError(words) from error
    with ExitStack() as stack:
        if match[1]:
            place = stack.enter_context(_started(int(match[1])))
        else:
            place = _answering(scheduler)
        client = stack.enter_context(distributed.Client(place, timeout=PATIENCE, set_as_default=False))
        with _losing(scheduler):
            try:
                client.wait_for_workers(1, timeout=PATIENCE)
            except TimeoutError as error:
                raise ClusterError(f"{scheduler}: the scheduler has no workers; start some") from error
            found = Workers(client, scheduler, paths)
        yield found


def _answering(address: str) -> str:
    """Return an address where a scheduler answers; a client that finds none is slow to say so."""
    from distributed import Security, rpc

    async def identity() -> Any:
        async with rpc(address, connection_args=Security().get_connection_args("client")) as server:
            return await asyncio.wait_for(server.identity(), PATIENCE)

    with ThreadPoolExecutor(1) as pool:  # this thread may have an event loop of its own
        try:
            kind = pool.submit(asyncio.run, identity()).result()["type"]
        except Exception as error:  # what answers may be anything
            raise ClusterError(f"{address}: no scheduler answers there") from error
    if kind != "Scheduler":
        raise ClusterError(f"{address}: is a {kind.lower()}; give the address of its scheduler")
    return address


@contextmanager
def _losing(name: str) -> Iterator[None]:
    """Say of a connection that breaks which one it is."""
    try:
        yield
    except CnnFilterError:
        raise
    except OSError as error:
        raise ClusterError(f"{name}: the scheduler was lost") from error


@contextmanager
def _started(count: int) -> Iterator[Any]:
    """Start workers on this machine; they leave nothing behind."""
    import logging

    import dask.config
    from distributed import LocalCluster

    with ExitStack() as stack:
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="cnnfilter-", ignore_cleanup_errors=True)
        )
        how = {
            "temporary-directory": folder,  # of the scheduler, too
            # A worker that happens to be restarted again so long after it was lost would be given up.
            "distributed.deploy.lost-worker-timeout": "1000 days",
        }
        stack.enter_context(dask.config.set(how))
        cluster = LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            host="127.0.0.1",
            # Any port that is free: without a dashboard, too, something is shown there.
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            memory_limit=0,  # the blocks have a bound of their own
            local_directory=folder,
            silence_logs=logging.CRITICAL,
            preload=[__name__],
        )
        yield stack.enter_context(cluster)


def dask_setup(worker: Any) -> None:
    """Make a worker of this machine leave Ctrl-C, which a whole terminal gets, to who started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _is_doing(keys: set[str], dask_worker: Any) -> bool:
    return any(key in keys for key in list(dask_worker.active_threads.values()))


def still_wanted() -> Callable[[], bool]:
    """Return what tells, within a task, whether somebody still waits for it.

    After an interruption nobody does, and what a worker would go on to write might meet another run.
    """
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def wanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is not None and task.state == "executing"

    return wanted


def _compared(found: dict[str, Described | Exception]) -> tuple[str, ...]:
    """Refuse workers that are not fit; return what is to be said of the others."""
    ours = described()
    for address, worker in found.items():
        if not isinstance(worker, Described):
            raise ClusterError(
                f"worker {address} does not load cnnfilter {__version__} ({worker}); install it there"
            )
        if worker.cnnfilter != ours.cnnfilter:
            raise ClusterError(
                f"worker {address} has cnnfilter {worker.cnnfilter}, and here is {ours.cnnfilter}; "
                "install one version everywhere"
            )
        if worker.unseen:
            raise ClusterError(
                f"worker {address} does not find {worker.unseen[0]}; all need one file system, at one place"
            )
    versions = Counter(worker.numpy for worker in found.values() if isinstance(worker, Described))
    kinds = {worker.processor for worker in found.values() if isinstance(worker, Described)}
    remarks = []
    if {*versions} != {ours.numpy}:
        told = ", ".join(f"{version} on {count}" for version, count in sorted(versions.items()))
        remarks.append(f"workers have NumPy {told}, and here is {ours.numpy}: last bits may differ")
    if len(kinds) > 1:
        remarks.append(
            f"workers have {len(kinds)} kinds of processors: last bits of their results may differ"
        )
    return tuple(remarks)
