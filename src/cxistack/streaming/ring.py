"""What is made ahead of who takes it: by a thread, into places that are used again."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

__all__ = ["Ring", "StoppedError"]

Made = TypeVar("Made")

_PATIENCE = 1.0  # seconds until it is asked again whether anybody wants what is made

#: What was taken stays as it is until so many more are asked for.
HELD = 2


class StoppedError(Exception):
    """Nobody wants what is being made any more."""


class Ring(Generic[Made]):
    """Things that a thread makes in order, at most `ahead` before they are taken.

    Parameters
    ----------
    count : int
        How many there are.
    ahead : int
        How many are made before they are asked for; none by a thread when 0.
    make : callable
        Makes the k-th in a place: takes k, the place's number (0 to `ahead` + 1), and a function
        that raises :class:`StoppedError` when nobody wants it any more, to be called now and then.
    is_wanted : callable
        Tells whether anybody may still ask for more.
    """

    def __init__(
        self,
        count: int,
        ahead: int,
        make: Callable[[int, int, Callable[[], None]], Made],
        is_wanted: Callable[[], object] = lambda: True,
    ) -> None:
        self._count, self._places = count, ahead + HELD
        self._make, self._is_wanted = make, is_wanted
        self._made: deque[Made | BaseException] = deque()
        self._taken = 0
        self._released = 0
        self._stopped = False
        self._changed = threading.Condition()
        self._process = os.getpid()
        self._thread: threading.Thread | None = None
        if ahead and count > 1:
            self._thread = threading.Thread(target=self._work, name="cxistack-ahead", daemon=True)

    def start(self) -> None:
        """Begin; what is not stopped before it has no last name any more would go on."""
        if self._thread is not None:
            self._thread.start()

    @property
    def is_of_this_process(self) -> bool:
        """Whether this was made here, and not before a fork, which takes no thread along."""
        return self._process == os.getpid()

    def take(self) -> Made:
        """Return the next; raise what was raised while it was made, or StopIteration at the end."""
        if self._taken >= self._count or self._stopped:
            self.stop()
            raise StopIteration
        number = self._taken
        if self._thread is None:
            self._taken += 1
            return self._make(number, number % self._places, lambda: None)
        with self._changed:
            self._released = max(0, number + 1 - HELD)
            self._changed.notify_all()
            while not self._made and not self._stopped:
                self._changed.wait()
            if self._stopped:  # by another thread
                raise StopIteration
            made = self._made.popleft()
        self._taken += 1
        if isinstance(made, BaseException):
            self.stop()
            raise made
        return made

    def stop(self) -> None:
        """Let nothing more be made, and wait for the thread to end, however impatient the user."""
        first: BaseException | None = None
        while True:
            try:
                self._end()
                break
            except BaseException as error:  # noqa: BLE001 - it is raised when the thread has ended
                first = first or error
        if first is not None:
            raise first

    def _end(self) -> None:
        if not self.is_of_this_process:
            return
        self._stopped = True
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return
        with self._changed:
            self._changed.notify_all()
        while thread.is_alive():
            thread.join()
        self._made.clear()

    def _check(self) -> None:
        if self._stopped or not self._is_wanted():
            raise StoppedError

    def _work(self) -> None:
        with suppress(StoppedError):
            for number in range(self._count):
                with self._changed:
                    while number - self._released >= self._places:
                        self._check()
                        # An interrupt may have kept whoever forgot the stream from stopping it.
                        self._changed.wait(_PATIENCE)
                self._check()
                made: Made | BaseException
                try:
                    made = self._make(number, number % self._places, self._check)
                except StoppedError:
                    raise
                except BaseException as error:  # noqa: BLE001 - raised where it is taken
                    made = error
                with self._changed:
                    self._made.append(made)
                    self._changed.notify_all()
                if isinstance(made, BaseException):
                    return
