"""The side file of a run on a server: the bytes that HDF5 reads to know what is in its files.

With them a file is opened by one request that asks what it is now; all else that HDF5 wants to know
is here: groups, shapes, where each chunk lies, and small values. It holds the bytes as they lie in
the files, and not what was made of them: then HDF5 reads them as it reads the file, whatever is
asked for, and what is missing comes from the server.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import StorageError
from ...written import write_whole
from .parts import Meta
from .urls import is_url, shown_url

if TYPE_CHECKING:
    from .client import Client

__all__ = ["Entry", "Index", "pieces_of"]

_MAGIC = b"cxistack index 1\n"
_LENGTH = 16  # bytes of the header's length, in decimal digits
_NEAR = 512  # bytes between parts that are kept, too: HDF5 may read a little more at a time


@dataclass(frozen=True)
class Entry:
    """What is known of a file: what it was, and parts of it, in ascending order."""

    meta: Meta
    pieces: tuple[tuple[int, bytes], ...]


class Index:
    """What is known of files on servers, by their names.

    Parameters
    ----------
    entries : mapping of str to Entry
        Of each file.
    name : str
        The side file, for people to read.
    """

    def __init__(self, entries: Mapping[str, Entry], name: str) -> None:
        self._entries, self.name = dict(entries), name
        self._last: dict[str, list[str]] = {}
        for url in self._entries:
            self._last.setdefault(_last(url), []).append(url)

    def of(self, url: str) -> Entry | None:
        """Return what is known of a file: of one of its name, or the only one of its last piece."""
        if url not in self._entries:
            same = self._last.get(_last(url), [])
            if len(same) != 1:
                return None
            url = same[0]
        return self._entries[url]

    def refuse_stale(self, url: str, now: Meta) -> None:
        """Raise where a file is not what it was when the index was made.

        Raises
        ------
        StorageError
            Its size, its tag, or where there is none its time, is another.
        """
        entry = self.of(url)
        if entry is not None and entry.meta != now:
            raise StorageError(
                f"{self.name} is stale: {url} has changed since it was made; make it anew "
                "(cxistack index)"
            )

    def write(self, path: Path) -> None:
        """Write it to a file, which appears whole."""
        head, bodies, at = [], [], 0
        for url, entry in self._entries.items():
            body = zlib.compress(b"".join(piece for _, piece in entry.pieces), 6)
            places = [(begin, len(piece)) for begin, piece in entry.pieces]
            head.append({"url": url, "meta": entry.meta, "bytes": len(body), "pieces": places})
            bodies.append(body)
            at += len(body)
        text = zlib.compress(json.dumps(head, separators=(",", ":")).encode(), 6)
        write_whole(path, b"".join([_MAGIC, f"{len(text):{_LENGTH}}".encode(), text, *bodies]))

    @classmethod
    def read(cls, name: str | os.PathLike[str], client: Client) -> Index:
        """Read one from a file, here or on a server.

        Raises
        ------
        OSError
            It cannot be read, or is none.
        """
        text = os.fsdecode(name)
        if is_url(text):
            text = shown_url(text)
            _, meta = client.get(text, 0, 1, None)
            data = bytes(memoryview(client.get(text, 0, meta.size, meta)[0]))
        else:
            data = Path(text).read_bytes()
        try:
            return cls(dict(_entries(data)), text)
        except (KeyError, TypeError, ValueError, zlib.error) as cause:
            raise StorageError(
                f"{text} is no index of this version of cxistack, or it is damaged; make it anew "
                "(cxistack index)"
            ) from cause


def pieces_of(parts: Sequence[tuple[int, int]], read: Any) -> tuple[tuple[int, bytes], ...]:
    """Return parts of a file, near ones together; `read` returns the bytes of one."""
    whole: list[list[int]] = []
    for begin, end in sorted(parts):
        if whole and begin <= whole[-1][1] + _NEAR:
            whole[-1][1] = max(whole[-1][1], end)
        else:
            whole.append([begin, end])
    return tuple((begin, read(begin, end)) for begin, end in whole)


def _entries(data: bytes) -> Any:
    """Return pairs of names and entries; ValueError and its like where these bytes are none."""
    at = len(_MAGIC) + _LENGTH
    if not data.startswith(_MAGIC):
        raise ValueError("no index")
    length = int(data[len(_MAGIC) : at])
    head = json.loads(zlib.decompress(data[at : at + length]))
    at += length
    for one in head:
        body = zlib.decompress(data[at : at + one["bytes"]])
        at += one["bytes"]
        pieces, begin = [], 0
        for place, size in one["pieces"]:
            pieces.append((place, body[begin : begin + size]))
            begin += size
        if begin != len(body):
            raise ValueError("its pieces are not its bytes")
        yield one["url"], Entry(Meta(*one["meta"]), tuple(pieces))


def _last(url: str) -> str:
    return url.rpartition("/")[2]
