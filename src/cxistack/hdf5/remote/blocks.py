"""A file on a server as HDF5 reads it: by blocks, which are kept, and few requests.

Only metadata and small values come this way. Pixels are asked for by their chunks, many at a time.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ...errors import FileChangedError
from .parts import Meta

if TYPE_CHECKING:
    from .client import Client

__all__ = ["BLOCK", "AsFile", "Blocks", "Pieces", "RemoteFile"]

BLOCK = 1 << 19  # bytes: come about as fast as one byte does
_MOST_AHEAD = 8  # blocks of a file that is read from one end to the other
_MOST_KEPT = 256 << 20  # bytes of the blocks of all files of a run
_LARGE = BLOCK  # bytes of a read that is asked for as it is, and not kept

Pieces = Sequence[tuple[int, bytes]]


class Blocks:
    """The blocks of all files of a run; those longest unused are forgotten first.

    No lock: HDF5 asks with h5py's lock held, and who waited for another one might be waited for.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._held = 0

    def find(self, key: tuple[str, int]) -> bytes | None:
        """Return a block; None where it is not kept."""
        found = self._kept.get(key)
        if found is not None:
            with suppress(KeyError):  # another thread has just put it out
                self._kept.move_to_end(key)
        return found

    def keep(self, key: tuple[str, int], block: bytes) -> None:
        """Keep a block."""
        if key in self._kept:
            return
        self._kept[key] = block
        self._held += len(block)
        while self._held > _MOST_KEPT and len(self._kept) > 1:
            self._held -= len(self._kept.popitem(last=False)[1])

    def forget(self, url: str) -> None:
        """Forget the blocks of a file."""
        for key in [key for key in list(self._kept) if key[0] == url]:
            self._held -= len(self._kept.pop(key, b""))


class RemoteFile:
    """A file on a server.

    Parameters
    ----------
    url : str
        Its name, as it may be shown.
    meta : Meta
        What it is. All bytes are of this file, or an error is raised.
    client : Client
        Asks the server.
    blocks : Blocks
        Keeps what came.
    pieces : sequence of (int, bytes)
        Parts of it that are known, in ascending order.

    Attributes
    ----------
    failure : Exception or None
        Why a part did not come; HDF5 may not have told of it.
    is_changed : bool
        Whether the server has another one by now.
    used : list of (int, int) or None
        Where a list is put here: the begin and end of each part that is read.
    last : (int, int)
        The begin and end of the part that was read last.
    """

    def __init__(
        self, url: str, meta: Meta, client: Client, blocks: Blocks, pieces: Pieces = ()
    ) -> None:
        self.url, self.meta = url, meta
        self._client, self._blocks = client, blocks
        self._pieces = pieces
        self._begins = [begin for begin, _ in pieces]
        self._next = -1  # the block behind those that came last
        self._ahead = 1
        self.failure: Exception | None = None
        self.is_changed = False
        self.used: list[tuple[int, int]] | None = None
        self.last = (0, 0)
        self._least_blank: int | None = None

    def read_into(self, begin: int, buffer: memoryview) -> int:
        """Read bytes from `begin` on; return how many there are."""
        end = min(begin + len(buffer), self.meta.size)
        if end <= begin:
            return 0
        self.last = begin, end
        if self.used is not None:
            self.used.append((begin, end))
        try:
            self._read(begin, end, buffer)
        except Exception as error:
            self.failure = error
            self.is_changed = isinstance(error, FileChangedError)
            raise
        return end - begin

    def known(self, begin: int, end: int) -> bytes | None:
        """Return bytes that are here already; None where they are not, or many."""
        if end - begin > 2 * BLOCK:
            return None
        piece = self._piece(begin, end)
        if piece is not None:
            return piece
        numbers = range(begin // BLOCK, (end - 1) // BLOCK + 1)
        blocks = [self._blocks.find((self.url, number)) for number in numbers]
        if any(block is None for block in blocks):
            return None
        whole = b"".join(block for block in blocks if block is not None)
        return whole[begin - numbers[0] * BLOCK :][: end - begin]

    def _piece(self, begin: int, end: int) -> bytes | None:
        k = bisect_right(self._begins, begin) - 1
        if k < 0 or end > self._begins[k] + len(self._pieces[k][1]):
            return None
        return self._pieces[k][1][begin - self._begins[k] : end - self._begins[k]]

    def _read(self, begin: int, end: int, buffer: memoryview) -> None:
        piece = self._piece(begin, end)
        if piece is not None:
            buffer[: end - begin] = piece
            return
        if self._least_blank is not None and end - begin >= self._least_blank:
            known = self.known(begin, end)
            buffer[: end - begin] = bytes(end - begin) if known is None else known
            return
        if end - begin >= _LARGE:
            data, _ = self._client.get(self.url, begin, end, self.meta)
            buffer[: end - begin] = memoryview(data)
            return
        done = begin
        for number in range(begin // BLOCK, (end - 1) // BLOCK + 1):
            block = self._block(number)
            stop = min(end, (number + 1) * BLOCK)
            part = memoryview(block)[done - number * BLOCK : stop - number * BLOCK]
            buffer[done - begin : stop - begin] = part
            done = stop

    def _block(self, number: int) -> bytes:
        found = self._blocks.find((self.url, number))
        if found is not None:
            return found
        # Who reads on gets more at a time.
        self._ahead = min(_MOST_AHEAD, 2 * self._ahead) if number == self._next else 1
        last = number + 1
        while last < number + self._ahead and self._blocks.find((self.url, last)) is None:
            last += 1
        begin, end = number * BLOCK, min(last * BLOCK, self.meta.size)
        data, _ = self._client.get(self.url, begin, end, self.meta)
        self.keep(begin, data)
        self._next = last
        return bytes(memoryview(data)[:BLOCK])

    @contextmanager
    def blank(self, least: int) -> Iterator[None]:
        """Give zeros meanwhile for reads of `least` bytes and more of what is not here.

        It is for who asks where bytes lie, and not what they are. HDF5 knows its metadata by marks
        that are not zero, and refuses it.
        """
        self._least_blank = least
        try:
            yield
        finally:
            self._least_blank = None

    def keep(self, begin: int, data: Any) -> None:
        """Keep the whole blocks among bytes that came, and the last one of the file."""
        view = memoryview(data)
        for at in range(0, len(view), BLOCK):
            block = view[at : at + BLOCK]
            if len(block) == BLOCK or begin + at + len(block) == self.meta.size:
                self._blocks.keep((self.url, (begin + at) // BLOCK), bytes(block))


class AsFile:
    """A file on a server as h5py reads one of Python: each handle has its own."""

    def __init__(self, file: RemoteFile) -> None:
        self.file = file
        self._at = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.file.meta.size}
        self._at = base[whence] + offset
        return self._at

    def tell(self) -> int:
        """Return the place."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read from the place on."""
        count = self.file.read_into(self._at, memoryview(buffer).cast("B"))
        self._at += count
        return count

    def write(self, data: Any) -> int:
        """Refuse."""
        raise OSError(f"{self.file.url} is on a server: it is only read")

    def truncate(self, size: int | None = None) -> int:
        """Refuse."""
        raise OSError(f"{self.file.url} is on a server: it is only read")

    def flush(self) -> None:
        """Do nothing."""

    def raise_failure(self) -> None:
        """Raise what HDF5 or h5py did not tell of, once."""
        failure, self.file.failure = self.file.failure, None
        if failure is not None:
            raise failure
