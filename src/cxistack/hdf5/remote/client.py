"""Asks servers for parts of files, one or many at a time, by obstore.

Answers come in a loop of asyncio in a thread of its own, so that the thread that waits for them
answers signals. HDF5 asks with h5py's lock held. Who would wait for that lock in the other thread,
as a garbage collection does that meets an object of h5py, would wait without end: so there is none
meanwhile.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import re
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache
from typing import Any, Generic, TypeVar
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from ...errors import FileChangedError
from ..patience import changed
from .parts import Meta, Part, PartError, RemoteError
from .urls import scheme_of, without_urls
from .words import RemoteWords

__all__ = ["Answers", "Client", "put"]

_Item = TypeVar("_Item")
_LONGEST = timedelta(hours=1)  # for one answer; whether it comes at all, `timeout` tells

# obstore's threads are not there in a child, whose requests would be waited for without end.
_asked_in: int | None = None


class Answers(Generic[_Item]):
    """Something that is done with each of many, some at a time, in a thread with a loop of its own.

    The thread that waits for it may have a loop, too, and answers signals meanwhile.

    Parameters
    ----------
    one : callable
        Does it with one.
    items : iterable
        They.
    many : int
        How many at a time.
    """

    def __init__(
        self,
        one: Callable[[_Item], Awaitable[None]],
        items: Iterable[_Item],
        many: int,
    ) -> None:
        self._one, self._turn, self._many = one, iter(items), many
        self._has_ended = threading.Event()
        self._failures: list[BaseException] = []
        self._running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = []
        threading.Thread(target=self._run, name="cxistack-requests", daemon=True).start()

    def wait(self) -> None:
        """Wait until all are done; raise what one of them raised. The others are given up then."""
        # Not by the thread's join(): interrupted, it takes the thread for ended.
        try:
            while not self._has_ended.wait(0.1):
                pass
        except BaseException:
            self.give_up()
            raise
        if self._failures:
            raise self._failures[0]

    def give_up(self) -> None:
        """End what is under way, and do no more."""
        while not self._has_ended.is_set():
            for loop, task in self._running:
                with suppress(RuntimeError):  # it has ended meanwhile
                    loop.call_soon_threadsafe(task.cancel)
            self._has_ended.wait(0.02)

    def _run(self) -> None:
        try:
            asyncio.run(self._begin())
        except BaseExceptionGroup as group:
            self._failures.append(group.exceptions[0])
        except BaseException as error:  # noqa: BLE001 (it is raised in the other thread)
            self._failures.append(error)
        finally:
            self._has_ended.set()

    async def _begin(self) -> None:
        task = asyncio.ensure_future(self._all())
        self._running.append((asyncio.get_running_loop(), task))
        await task

    async def _all(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(self._many):
                group.create_task(self._take())

    async def _take(self) -> None:
        for item in self._turn:
            await self._one(item)


class _NoCollection:
    """No garbage is collected while any thread is in its block."""

    def __init__(self) -> None:
        self._lock, self._count, self._was_on = threading.Lock(), 0, False

    def __enter__(self) -> None:
        with self._lock:
            if not self._count:
                self._was_on = gc.isenabled()
                gc.disable()
            self._count += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._count -= 1
            if not self._count and self._was_on:
                gc.enable()


_no_collection = _NoCollection()


class Client:
    """Asks servers.

    Parameters
    ----------
    words : RemoteWords
        How.
    secrets : mapping of str to str
        The whole address of each file whose shown name is not all of it.
    """

    def __init__(self, words: RemoteWords, secrets: Mapping[str, str]) -> None:
        self.words, self._secrets = words, secrets
        self._stores: dict[str, Any] = {}
        self.requests = 0

    def get(self, url: str, begin: int, end: int, meta: Meta | None) -> tuple[Any, Meta]:
        """Return bytes of a file, and what it is now; `meta` is what it was.

        Raises
        ------
        FileNotFoundError, PermissionError, RemoteError
            It is not there, may not be read, or the server does not give it.
        FileChangedError
            It is not what it was.
        """
        found: list[tuple[Any, Meta]] = []

        async def one(url: str) -> None:
            found.append(await self._get(url, begin, end, meta))

        self._obstore(url)
        with _no_collection:
            Answers(one, [url], 1).wait()
        return found[0]

    def fetch(self, parts: Sequence[Part], memory: NDArray[np.uint8]) -> Answers[Part]:
        """Begin to bring parts of files to their places in memory.

        One that does not come is told of by :class:`PartError`.
        """
        self._obstore(parts[0].url)  # says what is missing

        async def one(part: Part) -> None:
            try:
                data, _ = await self._get(part.url, part.begin, part.end, part.meta)
            except OSError as error:
                failure = error
            else:
                put(data, memory, part.to)
                return
            raise PartError(part, failure)

        return Answers(one, parts, self.words.requests)

    def look(self, heads: Mapping[str, int]) -> dict[str, tuple[Any, Meta] | Exception]:
        """Return how files begin, and what they are, or why that is not known; all at a time.

        `heads` says how many bytes of each; of 0, only what it is.
        """
        found: dict[str, tuple[Any, Meta] | Exception] = {}

        async def one(url: str) -> None:
            try:
                found[url] = await self._get(url, 0, heads[url], None)
            except OSError as error:
                found[url] = error

        self._obstore(next(iter(heads)))
        Answers(one, heads, self.words.requests).wait()
        return found

    async def _get(self, url: str, begin: int, end: int, meta: Meta | None) -> tuple[Any, Meta]:
        """Return bytes of a file, and what it is; without bytes where none are asked for."""
        obstore, (store, path) = self._obstore(url), self._target(url)
        failure: Exception
        try:
            if begin == end:
                answer = await obstore.get_async(store, path, options={"head": True})
                return b"", _checked(url, answer, 0, (0, 0), meta)
            answer = await obstore.get_async(store, path, options=_options(begin, end, meta))
            data = await answer.bytes_async()
            return data, _checked(url, answer, len(data), (begin, end), meta)
        except Exception as error:  # noqa: BLE001 (its classes share no base of their own)
            failure = self._told(url, error)
        raise failure  # outside: the address that the library's error has in it goes with it

    def _obstore(self, url: str = "a file on a server") -> Any:
        global _asked_in
        if _asked_in not in (None, os.getpid()):
            raise RemoteError(
                f"{url} cannot be read in a process that was forked after its parent had asked "
                'servers: start workers by "spawn" or "forkserver" '
                "(multiprocessing.set_start_method)"
            )
        try:
            import obstore
        except ImportError as cause:
            raise ImportError(
                "files on a server are read through obstore: pip install 'cxistack[remote]'"
            ) from cause
        _asked_in = os.getpid()
        return obstore

    def _target(self, url: str) -> tuple[Any, str]:
        """Return the store of a file, and its path in it; files of one host share one."""
        whole = self._secrets.get(url, url)
        if scheme_of(url) == "s3":
            bucket, _, path = whole[len("s3://") :].partition("/")
            base = f"s3://{bucket}"
        else:
            parts = urlsplit(whole)
            base, path = f"{parts.scheme}://{parts.netloc}", unquote(parts.path).lstrip("/")
            # Such a path cannot be told to a store: then its base is all of the address.
            plain = path.split("/") if "%2f" not in whole.lower() else [""]
            if parts.query or not {"", ".", ".."}.isdisjoint(plain) or parts.path.endswith("/"):
                base, path = whole, ""
        if base not in self._stores:
            self._stores[base] = self._new_store(base)
        self.requests += 1
        return self._stores[base], path

    def _new_store(self, base: str) -> Any:
        self._obstore()
        from obstore.store import S3Store

        if not base.startswith("s3:"):
            parts = urlsplit(base)
            is_open = not parts.query and "@" not in parts.netloc
            # What may be secret is not kept for others.
            new = _http_store if is_open else _http_store.__wrapped__
            return new(base, self.words.timeout, self.words.retries)
        how = _how(base, self.words.timeout, self.words.retries)
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")
        how["client_options"]["allow_http"] = endpoint.startswith("http://")
        if os.environ.get("AWS_PROFILE"):
            from obstore.auth.boto3 import Boto3CredentialProvider

            how["credential_provider"] = Boto3CredentialProvider()
        return S3Store(base[len("s3://") :], **how)

    def _told(self, url: str, error: Exception) -> Exception:
        """Return the error that says in words what obstore says, without what may be secret."""
        if isinstance(error, RemoteError | FileChangedError | ImportError):
            return error
        kind = type(error).__name__
        if isinstance(error, FileNotFoundError):
            return FileNotFoundError(errno.ENOENT, "the server has no such file", url)
        if kind == "PreconditionError":
            return changed(url)
        if kind in ("PermissionDeniedError", "UnauthenticatedError"):
            return PermissionError(errno.EACCES, f"the server refuses it{_advice(url)}", url)
        if kind == "NotSupportedError":
            return RemoteError(
                f"{url} cannot be read in parts: its server gives whole files only (no HTTP "
                "ranges); copy the file here"
            )
        return RemoteError(
            f"{url} cannot be read: {_reason(str(error), url)} (remote={{'timeout': "
            f"{self.words.timeout:g}, 'retries': {self.words.retries}}})"
        )


@lru_cache(maxsize=8)
def _http_store(base: str, timeout: float, retries: int) -> Any:
    """Return what asks a server; runs that lie on one share it, and its open connections."""
    from obstore.store import HTTPStore

    return HTTPStore.from_url(base, **_how(base, timeout, retries))


def _how(base: str, timeout: float, retries: int) -> dict[str, Any]:
    """Return how a store of obstore is to ask."""
    wait = timedelta(seconds=timeout)
    return {
        "client_options": {
            "connect_timeout": wait,
            "read_timeout": wait,
            "timeout": _LONGEST,
            "allow_http": base.startswith("http://"),
        },
        "retry_config": {
            "max_retries": retries,
            "retry_timeout": _LONGEST,
            "backoff": {
                "init_backoff": timedelta(seconds=0.1),
                "max_backoff": timedelta(seconds=15),
                "base": 2,
            },
        },
    }


def put(data: Any, memory: NDArray[np.uint8], at: int) -> None:
    """Copy bytes to a place in memory."""
    memory[at : at + len(data)] = np.frombuffer(data, np.uint8)


def _options(begin: int, end: int, meta: Meta | None) -> dict[str, Any]:
    options: dict[str, Any] = {"range": (begin, end)}
    # A weak one is never matched: it is compared when the answer is here.
    if meta is not None and meta.etag is not None and not meta.etag.startswith("W/"):
        options["if_match"] = meta.etag
    return options


def _checked(
    url: str, answer: Any, length: int, wanted: tuple[int, int], meta: Meta | None
) -> Meta:
    """Return what a file is by an answer; raise where that is not what was asked for."""
    told = answer.meta
    now = Meta(told["size"], told["e_tag"] or None, int(told["last_modified"].timestamp()) * 10**9)
    if meta is not None and now != meta:
        raise changed(url)
    begin, end = wanted[0], min(wanted[1], now.size)
    if length != end - begin or (length and tuple(answer.range) != (begin, end)):
        raise RemoteError(
            f"{url} cannot be read: of bytes {begin} to {end} its server gave {length}"
        )
    return now


_REASONS = (
    ("TimedOut|timed out|Timeout", "its server did not answer, or stopped in an answer"),
    ("IncompleteBody|UnexpectedEof|ConnectionReset|Broken|Interrupted", "the connection broke"),
    ("dns error|failed to lookup", "there is no such host"),
    ("ConnectionRefused|kind: Connect|ConnectError", "there is no connection to its server"),
)


def _reason(said: str, url: str) -> str:
    status = re.search(r"status code: (\d+[\w ]*)", said)
    if status:
        return f"its server says {status[1].strip()}"
    for pattern, reason in _REASONS:
        if re.search(pattern, said):
            return reason
    return without_urls(said.splitlines()[0], url) if said else "its server does not say why"


def _advice(url: str) -> str:
    if scheme_of(url) != "s3":
        return ""
    return (
        "; credentials come from the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
        "AWS_PROFILE); AWS_SKIP_SIGNATURE=true reads public buckets"
    )
