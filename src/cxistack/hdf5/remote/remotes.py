"""The files of a run that are on servers: what is known of each, and their handles."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ...errors import FileChangedError
from ..stamps import Stamp
from .blocks import BLOCK, AsFile, Blocks, Pieces, RemoteFile
from .client import Answers, Client, put
from .index import Index
from .parts import Meta, Part, PartError
from .urls import is_url, shown_url
from .words import RemoteWords

__all__ = ["Remotes"]

_HEADS = 64 << 20  # bytes that the heads of all files may take when a run is opened
_LEAST_HEAD = 1 << 14
_JUST_NOW = 0.5  # seconds in which a file that was asked for is not asked for again
_DEVICE = -2  # in a stamp, in place of the number of a disk


class Remotes:
    """The files of a run that are on servers.

    Parameters
    ----------
    words : RemoteWords
        How servers are asked.
    secrets : mapping of str to str
        As for :class:`Client`.
    index : str, optional
        Name of a side file that tells what is in them.
    """

    def __init__(
        self, words: RemoteWords, secrets: Mapping[str, str], index: str | None = None
    ) -> None:
        if index is not None and is_url(index):
            secrets = {**secrets, shown_url(index): index}
        self._words, self._secrets, self._index_name = words, secrets, index
        self._reset()

    def _reset(self) -> None:
        self.client = Client(self._words, self._secrets)
        self._blocks = Blocks()
        self._files: dict[str, RemoteFile] = {}
        self._fresh: dict[str, float] = {}  # when files were asked for
        self._index: Index | None = None
        self._pid = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        kept = ("_words", "_secrets", "_index_name")
        return {name: getattr(self, name) for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()

    def begin(self, urls: Iterable[str]) -> None:
        """Look at files, all at a time, and keep how they begin.

        Raises
        ------
        OSError
            One of them is not there, or cannot be read.
        """
        urls = [url for url in urls if url not in self._files]
        if not urls:
            return
        if self._index is None and self._index_name is not None:
            self._index = Index.read(self._index_name, self.client)
        known = {url: self._index.of(url) for url in urls} if self._index is not None else {}
        head = min(BLOCK, max(_LEAST_HEAD, _HEADS // len(urls)))
        found = self.client.look({url: 0 if known.get(url) else head for url in urls})
        for url in urls:
            answer = found[url]
            if isinstance(answer, Exception):
                raise answer  # of the first of them
            data, meta = answer
            entry = known.get(url)
            if entry is not None and self._index is not None:
                self._index.refuse_stale(url, meta)
                self._add(url, meta, entry.pieces)
            elif len(data) in (BLOCK, meta.size):
                self._add(url, meta).keep(0, data)
            else:
                self._add(url, meta, ((0, bytes(data)),))

    def _add(self, url: str, meta: Meta, pieces: Pieces = ()) -> RemoteFile:
        file = self._files[url] = RemoteFile(url, meta, self.client, self._blocks, pieces)
        self._fresh[url] = time.monotonic()
        return file

    def file(self, url: str) -> RemoteFile:
        """Return a file; it is looked at where that was not done.

        Raises
        ------
        OSError
            It is not there, or cannot be read.
        """
        if url not in self._files:
            self.begin([url])
        return self._files[url]

    def stamp(self, url: str) -> Stamp:
        """Return by what a file is known; the server is asked once."""
        meta = self.file(url).meta
        # Files of the same bytes may have the same tag.
        digest = hashlib.blake2b(f"{url} {meta.etag}".encode(), digest_size=7).digest()
        return Stamp(_DEVICE, int.from_bytes(digest), meta.size, meta.mtime_ns)

    def now(self, url: str) -> Stamp | None:
        """Return what :meth:`stamp` does; None where there is no such file."""
        try:
            return self.stamp(url)
        except FileNotFoundError:
            return None

    def look_again(self) -> None:
        """Ask what all files are now, and forget what is known of those that have changed.

        Those that were asked for just now are not asked for again.
        """
        since = time.monotonic() - _JUST_NOW
        urls = [
            url
            for url, one in self._files.items()
            if self._fresh.get(url, since) <= since or one.is_changed
        ]
        self._fresh.clear()
        for url, answer in self.client.look(dict.fromkeys(urls, 0)).items() if urls else ():
            if isinstance(answer, Exception) or answer[1] != self._files[url].meta:
                self.forget(url)

    def fetch(self, parts: Sequence[Part], memory: NDArray[np.uint8]) -> Answers[Part] | None:
        """Begin to bring parts of files to their places in memory; None where all are there.

        :class:`PartError` tells of one that does not come; see :meth:`noted`.
        """
        wanted = []
        for part in parts:
            known = self.file(part.url).known(part.begin, part.end)
            if known is None or self._files[part.url].meta != part.meta:
                wanted.append(part)
            else:
                put(known, memory, part.to)
        return self.client.fetch(wanted, memory) if wanted else None

    def noted(self, error: PartError) -> PartError:
        """Note that a file has changed where a part did not come for that."""
        if isinstance(error.reason, FileChangedError):
            self._fresh.pop(error.part.url, None)
        return error

    def forget_bytes(self) -> None:
        """Forget what files hold, and not what they are."""
        for url in self._files:
            self._blocks.forget(url)

    def forget(self, url: str) -> None:
        """Forget what is known of a file."""
        self._files.pop(url, None)
        self._blocks.forget(url)

    def opened(self, url: str) -> tuple[Any, AsFile]:
        """Return an :class:`h5py.h5f.FileID` of a file, and what it reads from."""
        source = AsFile(self.file(url))
        access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
        access.set_fileobj_driver(h5py.h5fd.fileobj_driver, source)
        return h5py.h5f.open(os.fsencode(url), h5py.h5f.ACC_RDONLY, access), source
