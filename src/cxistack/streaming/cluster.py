"""Reductions on a Dask cluster: one task a share of the frames, merged in the frames' order.

A task reads its share on the worker and gives the states of the reductions. Neighbours are merged
by further tasks, in pairs, so that no worker and no client ever holds all states. When a worker
dies, its tasks run again elsewhere: none of them writes anything, or changes what another made.
"""

from __future__ import annotations

import copy
import math
import os
import pickle
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from ..catalogue.index import FrameIndex
from ..progress import Progress
from .per_frame import is_of_pixels, reduced
from .reduce import BandResults, Limits, Plan, Source, bands_of, spare_memory, states_of
from .reductions import Histogram, Statistics
from .shares import shares_of

__all__ = ["Cluster", "Job", "reduce_on", "share_count"]

_SHARE_BYTES = 16 << 30  # of pixels that one task takes at most, and that a death costs
_EMBEDDED = 1 << 20  # bytes of a job that goes with each task; a larger one goes to a worker once
_BAND_ROWS = 16  # that a task has at least: of most codecs, each task decodes whole chunks
_NEAR = ("127.0.0.1", "::1")
_FIRST = 10  # priority of what frees memory: merges go before further shares


class Job(Protocol):
    """Frames that a worker can read; it goes to workers by pickle."""

    def source(self, numbers: NDArray[np.int64]) -> Source:
        """Return some of the frames as what is reduced."""


class Cluster:
    """The workers behind a ``dask.distributed.Client``.

    Parameters
    ----------
    client : dask.distributed.Client
        The user's; it stays open.
    name : str
        What the tasks are called in Dask's dashboard.

    Attributes
    ----------
    threads : int
        How many tasks run at a time.

    Raises
    ------
    TypeError
        It is no client, or one whose methods are awaited.
    """

    def __init__(self, client: Any, name: str) -> None:
        needed = ("submit", "replicate", "nthreads", "scheduler_info")
        if not all(hasattr(client, one) for one in needed):
            raise TypeError(
                "client= takes a dask.distributed.Client, that of a cluster's scheduler, not "
                f"{type(client).__name__}"
            )
        if client.asynchronous:
            raise TypeError(
                "client= is a client whose methods are awaited: make one without asynchronous=True"
            )
        self._client = client
        self._name = f"{name}-{os.urandom(6).hex()}"
        # What nobody waits for any more is let go of, so that workers forget its result.
        self._futures: weakref.WeakSet[Any] = weakref.WeakSet()
        # A cluster that grows with its work may have no worker yet.
        self.threads: int = max(1, sum(client.nthreads().values()))

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is not None:  # nobody wants the rest
            self._client.cancel(list(self._futures))

    def submit(self, step: str, call: Callable[..., Any], *words: Any, first: bool = False) -> Any:
        """Return the future of a call, which is of this piece of work alone."""
        # Of keys that begin alike, Dask knows that they are of one kind, and spreads them.
        name, _, number = step.rpartition("-")
        key = (f"{self._name}-{name}", int(number))
        future = self._client.submit(
            call, *words, key=key, pure=False, priority=_FIRST if first else 0
        )
        self._futures.add(future)
        return future

    def take(self, futures: list[Any], take: Callable[[int, Any], None]) -> None:
        """Wait for futures, of which the list is emptied; give the number and result of each."""
        from distributed import as_completed

        numbers = {future.key: k for k, future in enumerate(futures)}
        coming = as_completed(futures, with_results=True)
        futures.clear()
        for future, result in coming:
            take(numbers[future.key], result)

    def results(self, futures: list[Any]) -> list[Any]:
        """Wait for futures; return their results."""
        found: list[Any] = self._client.gather(futures, direct=True if self.is_near else None)
        return found

    @property
    def is_near(self) -> bool:
        """Whether there are workers, and all are on this machine.

        They are then in reach without the scheduler, which is slow to pass results on.
        """
        workers = self._workers()
        return bool(workers) and all(urlsplit(one).hostname in _NEAR for one in workers)

    def _workers(self) -> dict[str, Any]:
        workers: dict[str, Any] = self._client.scheduler_info(n_workers=-1)["workers"]
        return workers

    def sent(self, job: Any) -> Any:
        """Return what brings a job to workers: its pickle, or the future of what was unpickled."""
        pickled = pickle.dumps(job)
        if len(pickled) <= _EMBEDDED:
            return pickled
        future = self.submit("run-0", _opened, pickled)
        # Dask puts tasks where what they need is: so it is to be on every worker.
        self._client.replicate([future])
        return future

    @property
    def memory(self) -> int:
        """Bytes that each task may hold: a quarter of its share of the smallest worker's memory."""
        limits: list[int] = [
            one["memory_limit"] // max(1, one["nthreads"])
            for one in self._workers().values()
            if one.get("memory_limit")
        ]
        each: int = min(limits, default=spare_memory() // self.threads)
        return each // 4


def share_count(cluster: Cluster, nbytes: int, most_bytes: int) -> int:
    """Return into how many shares bytes are cut: of so many at most, as many for each thread."""
    rounds = -(-nbytes // max(1, most_bytes * cluster.threads))
    return max(1, rounds) * cluster.threads


def reduce_on(
    client: Any,
    job: Job,
    frames: tuple[FrameIndex, NDArray[np.int64]],
    how: Any,
    axis: Any,
    limits: Limits,
) -> Any:
    """Reduce frames on a cluster; see :meth:`CXIStore.reduce`.

    Parameters
    ----------
    client : dask.distributed.Client
        The cluster's.
    job : Job
        What workers read.
    frames : FrameIndex, ndarray of int64
        Where the frames lie, and which are wanted.
    how, axis, limits
        As for :func:`reduced`.
    """
    source = job.source(frames[1])
    limits = replace(limits, num_threads=limits.num_threads or 1)
    with Cluster(client, "cxistack-reduce") as cluster, source.progress() as bar:
        nbytes = source.total * math.prod(source.shape) * source.dtype.itemsize
        shares = shares_of(*frames, share_count(cluster, nbytes, _SHARE_BYTES))
        there = cluster.sent(job)
        if is_of_pixels(source, axis):
            return _of_pixels(cluster, there, shares, (how, axis, limits), bar)
        plan = Plan.of(how, source.dtype, limits)
        columns = []
        if plan.percentiles is not None:
            columns = _of_bands(cluster, there, frames[1], (source, plan, limits), bar)
        states = _merged(cluster, there, shares, plan.passes, bar) if plan.passes else []
        return plan.results(columns, states)


# ---------------------------------------------------------------- what workers do


def _opened(job: Any) -> Any:
    """Return what a worker reads. It is let go of with the task, or the files would stay open."""
    return pickle.loads(job) if isinstance(job, bytes) else job


def _states(job: Any, numbers: NDArray[np.int64], reductions: Sequence[Any]) -> list[Any]:
    return states_of(_opened(job).source(numbers), reductions)


def _merge(reductions: Sequence[Any], a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
    merged = []
    for one, first, theirs in zip(reductions, a, b, strict=True):
        # A user's merge may change its first state, which may be asked for again when a worker
        # dies.
        mine = first if isinstance(one, Statistics | Histogram) else copy.deepcopy(first)
        state = one.merge(mine, theirs)
        merged.append(mine if state is None else state)
    return merged


def _band(
    job: Any,
    numbers: NDArray[np.int64],
    plan: Plan,
    limits: Limits,
    rows: tuple[int, int | None],
) -> list[NDArray[Any]]:
    return plan.of_band(_opened(job).source(numbers), limits, *rows)


def _pixels(job: Any, numbers: NDArray[np.int64], how: Any, axis: Any, limits: Limits) -> Any:
    return reduced(_opened(job).source(numbers), how, axis, limits)


# ---------------------------------------------------------------- what the client does


def _merged(
    cluster: Cluster,
    job: Any,
    shares: Sequence[NDArray[np.int64]],
    reductions: list[Any],
    bar: Progress | None,
) -> list[Any]:
    """Return the states of reductions after all shares, merged in their order."""
    states = [
        cluster.submit(f"share-{k}", _states, job, numbers, reductions)
        for k, numbers in enumerate(shares)
    ]
    wanted, level = (list(states) if bar is not None else []), 0
    # The last two come here, where that is no longer a way than from worker to worker.
    left = 2 if cluster.is_near else 1
    while len(states) > left:
        pairs = [
            cluster.submit(f"merge-{level}-{k}", _merge, reductions, *states[k : k + 2], first=True)
            for k in range(0, len(states) - 1, 2)
        ]
        states = [*pairs, *states[2 * len(pairs) :]]
        level += 1
    if bar is not None:
        _tell(wanted, shares, bar)
    results = cluster.results(states)
    return results[0] if len(results) == 1 else _merge(reductions, *results)


def _tell(futures: list[Any], shares: Sequence[NDArray[np.int64]], bar: Progress) -> None:
    """Show how many frames are done; what failed is told by who asks for the result."""
    from distributed import as_completed

    lengths = {one.key: len(some) for one, some in zip(futures, shares, strict=True)}
    coming = as_completed(futures)
    futures.clear()  # the state of a share is forgotten when it is merged
    for future in coming:
        if future.status != "finished":
            return
        bar.update(lengths[future.key])


def _of_bands(
    cluster: Cluster,
    job: Any,
    numbers: NDArray[np.int64],
    work: tuple[Source, Plan, Limits],
    bar: Progress | None,
) -> list[NDArray[Any]]:
    """Return what is asked of each pixel's values, by a task for each band of rows."""
    source, plan, limits = work
    room = cluster.memory if limits.memory is None else limits.memory
    least = min(cluster.threads, max(1, source.bands.rows // _BAND_ROWS))
    bands = list(bands_of(source.bands, room, least))
    results = BandResults(source.shape)
    told = 0

    def take(k: int, made: list[NDArray[Any]]) -> None:
        nonlocal told
        results.put(made, *bands[k])
        told += 1
        if bar is not None:
            bar.update(source.total * told // len(bands) - source.total * (told - 1) // len(bands))

    futures = [
        cluster.submit(f"band-{k}", _band, job, numbers, plan, limits, rows)
        for k, rows in enumerate(bands)
    ]
    cluster.take(futures, take)
    return results.arrays


def _of_pixels(
    cluster: Cluster,
    job: Any,
    shares: Sequence[NDArray[np.int64]],
    words: tuple[Any, Any, Limits],
    bar: Progress | None,
) -> Any:
    """Return what the pixels of each frame are reduced to."""
    found: dict[int, Any] = {}

    def take(k: int, result: Any) -> None:
        found[k] = result
        if bar is not None:
            bar.update(len(shares[k]))

    futures = [
        cluster.submit(f"share-{k}", _pixels, job, some, *words) for k, some in enumerate(shares)
    ]
    cluster.take(futures, take)
    results = [found[k] for k in range(len(shares))]
    if not isinstance(results[0], dict):
        return np.concatenate(results)
    return {key: np.concatenate([one[key] for one in results]) for key in results[0]}
