"""What tells one load from another in every process, for as long as its files are what they are."""

from __future__ import annotations

import errno
import os
import pickle
from collections.abc import Iterator

from ..hdf5.remote.urls import is_url
from ..hdf5.stored import leaves
from ..loading.load import Load
from ..transforms.base import Transform
from ..transforms.transforms import is_constant

__all__ = ["token_of"]


def token_of(load: Load) -> str:
    """Return a word that two loads share where they read the same values in the same way.

    Files are known by path, size, inode and time of change as they are now: the device has another
    number on another machine.

    Raises
    ------
    OSError
        A file is not there.
    """
    import hashlib  # here: it takes its time, and few ask for a token

    digest = hashlib.blake2b(digest_size=20)
    request = load.request
    told: list[object] = [load.shape, str(load.dtype), request.casting, request.raw]
    told += [repr(request.attribute), _words_of(request.transform)]
    told += [repr(request.ss_idxs), repr(request.fs_idxs)]
    for one in load.with_layers():
        told.append(one.attr)
        told += [(p.row, p.count, p.repeats, p.stored.place.path) for p in one.index.parts]
    for path in sorted(set(_paths(load))):
        if is_url(path):
            now = load.files.now(path)
            if now is None:
                raise FileNotFoundError(errno.ENOENT, "the server has no such file", path)
            told.append((path, tuple(now)))
            continue
        status = os.stat(path)  # noqa: PTH116 (a Path costs more than the call)
        told.append((path, status.st_size, status.st_ino, status.st_mtime_ns))
    for word in told:
        digest.update(repr(word).encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()


def _paths(load: Load) -> Iterator[str]:
    """Return the files that values come from."""
    if load.checks:  # whose bounds may be in any of the files
        yield from load.files.paths
    for part in load.all_parts():
        yield part.stored.place.filename
        for stored in leaves(part.stored):
            yield stored.place.filename


def _words_of(transform: Transform | None) -> str:
    """Return what a transform is, in words that are the same in every process."""
    is_known = transform is None or is_constant(transform)
    return repr(transform if is_known else pickle.dumps(transform, protocol=4))
