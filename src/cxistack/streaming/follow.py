"""Follow: the frames of a run while it is written, each once, in order, whole."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..catalogue.catalogue import Catalogue
from ..errors import CastError, CXIError, FileChangedError, StorageError
from ..hdf5.files import Files
from ..hdf5.open_writers import SWMR, locked_for_writing, marks_of
from ..loading.load import Load
from ..loading.prepare import prepare
from ..loading.request import LoadRequest
from .batch import Batch
from .readiness import Readiness
from .skipping import Skips, bad_file

__all__ = ["Follow", "Run"]

_SHORTEST, _LONGEST = 0.01, 0.2  # seconds between two looks
_SHARE = 4  # times as long as a look took is waited until the next


@dataclass(frozen=True)
class Run:
    """The files of a store as they are followed.

    Attributes
    ----------
    files : callable
        Returns the files, of the names that were found last.
    names : callable
        Returns the names that there are now.
    renew : callable
        Looks at what has changed; returns what the files have.
    grows : bool
        Whether files may come that have such names as were given.
    """

    files: Callable[[], Files]
    names: Callable[[], tuple[str, ...]]
    renew: Callable[[], Catalogue]
    grows: bool


@dataclass(frozen=True)
class _Ready:
    """Frames that can be read now."""

    load: Load
    numbers: NDArray[np.int64]


class Follow:
    """Frames of a run while it is written; made by :meth:`CXIStore.follow`, and iterated once.

    Attributes
    ----------
    count : int
        How many frames were given.
    problems : list of Problem
        With ``on_error="skip"``, the files that were left out, and why.
    """

    def __init__(
        self,
        run: Run,
        request: LoadRequest,
        *,
        timeout: float | None,
        until: int | None,
        batch: int | None,
        skips: Skips | None,
    ) -> None:
        self._run, self._request = run, request
        self._timeout, self._until, self._batch = timeout, until, batch
        self._skips = skips
        self.count = 0
        self._given: dict[str, int] = {}  # frames, by the path of their file
        self._begins: dict[str, int] = {}  # number of the first frame, when frames were given last
        self._failing: dict[str, float] = {}  # since when a file cannot be read
        self._readiness = Readiness()
        self._ready: _Ready | None = None
        self._error: Exception | None = None
        self._seen: object = None
        self._looks = 0  # since the files changed
        self._began = 0.0  # the last look
        self._is_over = self._has_warned = False

    @property
    def problems(self) -> list[Any]:
        """The files that were left out, and why."""
        return [] if self._skips is None else list(self._skips.problems)

    def close(self) -> None:
        """End it: nothing more is given, and files are let go of."""
        self._is_over = True
        self._ready = None
        self._let_go()

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        begin, pause = time.monotonic(), _SHORTEST
        while not self._is_over and not self._is_full:
            started = self._began = time.monotonic()
            batch = self._next_ready() or (self._next_ready() if self._look() else None)
            if batch is not None:
                return batch
            now = time.monotonic()
            if self._is_ended():
                break
            left = np.inf if self._timeout is None else begin + self._timeout - now
            if left <= 0:
                self._raise_what_lasts()
                break
            pause = min(_LONGEST, max(pause * 1.2, _SHARE * (now - started)))
            time.sleep(min(pause, left))
        self.close()
        raise StopIteration

    @property
    def _is_full(self) -> bool:
        return self._until is not None and self.count >= self._until

    def _next_ready(self) -> Batch | None:
        """Read frames that were found; None where there are none, or are none any more."""
        ready = self._ready
        if ready is None or not len(ready.numbers):
            return None
        load = ready.load
        most = load.batch if self._batch is None else self._batch
        if self._until is not None:
            most = min(most, self._until - self.count)
        numbers, rest = ready.numbers[:most], ready.numbers[most:]
        self._unlock()
        try:
            frames = load.read(numbers)
        except (CastError, MemoryError):
            raise
        except (CXIError, OSError) as error:  # it is written to, or it is damaged: a look tells
            self._fail(error, load)
            self._ready = None
            return None
        finally:
            self._let_go()
        self._note(load, numbers)
        self._ready = _Ready(load, rest) if len(rest) else None
        self._error = None
        self._failing.clear()
        return Batch(frames, numbers)

    def _note(self, load: Load, numbers: NDArray[np.int64]) -> None:
        """Note which frames were given; by their file, as numbers may mean others later."""
        index, paths = load.index, load.files.paths
        edges = np.searchsorted(numbers, index.offsets)
        for k in np.flatnonzero(np.diff(edges)):
            path = paths[index.parts[k].file]
            self._given[path] = self._given.get(path, 0) + int(edges[k + 1] - edges[k])
        self.count += len(numbers)

    def _unlock(self) -> frozenset[int]:
        """Return what is locked; locks that we see need not be tried: to hold one bars writers."""
        locked = locked_for_writing()
        self._run.files().locks = locked is None
        return locked or frozenset()

    def _let_go(self) -> None:
        """Close files that others append to by opening them: HDF5 would refuse them."""
        files = self._run.files()
        if not files.swmr:
            files.release(pinned=False)
        files.locks = True

    # ---------------------------------------------------------------- looking for frames

    def _look(self) -> bool:
        """Look for frames, if files may have changed; return whether there are any."""
        try:
            names = self._run.names()
        except OSError as error:  # no file yet
            self._error = error
            return False
        now = names, tuple(_status(path) for path in self._watched(names))
        if now != self._seen:
            self._seen, self._looks = now, 0
        # Twice: what is written while the clock of the files stands still changes no time.
        if self._looks >= 2 and self._error is None:
            return False
        self._looks += 1
        self._error = None
        self._readiness.begin(self._watched(names), self._unlock())
        self._refuse_unread()
        try:
            self._ready = self._found()
        except CastError:
            raise
        except (CXIError, OSError) as error:
            self._fail(error, None)
        finally:
            self._let_go()
        return self._ready is not None

    def _watched(self, names: tuple[str, ...]) -> list[str]:
        paths = self._run.files().paths_of(names)
        return [*paths, *(self._readiness.sources - {*paths})]

    def _found(self) -> _Ready | None:
        """Return the frames that are there and were not given."""
        catalogue = self._run.renew()
        files = catalogue.files
        numbers = self._readable(catalogue)
        if not any(number in catalogue.found(self._request.attribute.name) for number in numbers):
            if len(numbers) == len(catalogue.numbers):
                catalogue.usable(self._request.attribute.name)  # raises: there is none
            return None
        if len(numbers) < len(catalogue.numbers):
            catalogue = catalogue.renewed(files, numbers, lambda path, found: found)
        load = prepare(catalogue, self._request)
        return self._new_frames(load)

    def _refuse_unread(self) -> None:
        """Raise at once where waiting is in vain: an SWMR writer's file, and no SWMR reader."""
        files = self._run.files()
        for path, marks in self._readiness.marks.items() if not files.swmr else ():
            if marks & SWMR:
                self.close()
                raise StorageError(
                    f"{path} is written under SWMR (or its writer was killed): follow it by a "
                    "store that reads so, CXIStore(..., swmr=True)"
                )

    def _readable(self, catalogue: Catalogue) -> list[int]:
        """Return the files up to the first that is not to be read yet, or cannot be.

        Frames of a file behind it would come before its own.
        """
        attr, files = self._request.attribute.name, catalogue.files
        numbers: list[int] = []
        for number in catalogue.numbers:
            path = files.paths[number]
            if self._skips is not None and path in self._skips:
                continue
            if self._readiness.is_held(path, files.swmr):
                break
            numbers.append(number)
        if numbers and len(numbers) < len(catalogue.numbers):
            catalogue = catalogue.renewed(files, numbers, lambda path, found: found)
        found, left = (catalogue.found(attr) if numbers else {}), []
        for number in numbers:
            error: Exception | None = None
            if not catalogue.opens(number):
                error = catalogue.unopened()[number]
            elif number in found:
                error = found[number].error
            if error is None:
                left.append(number)
            elif not self._skipped(files, number, error):
                self._error = error
                break
        return left

    def _skipped(self, files: Files, number: int, error: Exception) -> bool:
        """Leave a file out that stayed unreadable for as long as the store waits for one."""
        if self._skips is None:
            return False
        path, now = files.paths[number], time.monotonic()
        # From when the look began: to open it may have been tried for as long.
        if now - self._failing.setdefault(path, self._began) < max(files.wait, _LONGEST):
            return False
        self._skips.leave_out(path, files.names[number], error)
        return True

    def _new_frames(self, load: Load) -> _Ready | None:
        index, paths = load.index, load.files.paths
        found: list[NDArray[np.int64]] = []
        of_file: dict[int, list[int]] = {}
        for k, part in enumerate(index.parts):
            of_file.setdefault(part.file, []).append(k)
        for file, parts in of_file.items():
            path, begin = paths[file], int(index.offsets[parts[0]])
            count = sum(index.parts[k].count for k in parts)
            given = self._given.get(path, 0)
            if given > count:
                raise FileChangedError(
                    f"{path} has {count} frames, fewer than the {given} that were given of it: "
                    "another run has taken its name"
                )
            ready = count
            if given < count:
                ready = self._readiness.frames(load.files, [index.parts[k] for k in parts], given)
                if ready > given:
                    found.append(np.arange(begin + given, begin + ready))
            if given and begin != self._begins.get(path, begin):
                self._warn(path, self._begins[path], begin)
            self._begins[path] = begin
            if ready < count:
                break
        return _Ready(load, np.concatenate(found)) if found else None

    def _warn(self, path: str, before: int, now: int) -> None:
        if not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"frames came before those of {path} in the run's order, which were numbered from "
                f"{before} on when they were given, and are from {now} on now",
                RuntimeWarning,
                stacklevel=4,
            )

    # ---------------------------------------------------------------- the end

    def _fail(self, error: Exception, load: Load | None) -> None:
        """Remember what went wrong: it is tried again, and raised where it lasts."""
        self._error = error
        if load is not None and self._skips is not None:
            number = bad_file(error, load.index)
            if number is not None and not isinstance(error, FileChangedError):
                self._skipped(load.files, number, error)

    def _is_ended(self) -> bool:
        """Tell whether the writers have closed all files, and all that is there was given."""
        files = self._run.files()
        if self._run.grows or not files.swmr or self._error is not None or not self.count:
            return False
        return self._looks >= 2 and self._readiness.is_closed

    def _raise_what_lasts(self) -> None:
        error = self._error
        if error is not None:
            self.close()
            raise error


def _status(path: str) -> object:
    try:
        status = os.stat(path)  # noqa: PTH116 (a Path costs more than the call)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, marks_of(path)
