"""Frames that a cluster's workers write, a file each, for a new file that is virtual over them.

Each file is complete or not there. They lie in a folder of their own beside the new file, which
comes last: until then nothing names them.
"""

from __future__ import annotations

import math
import os
import pickle
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import LayoutError, StorageError
from ..progress import Progress, progress_bar
from ..protocol.attribute import Attribute
from ..protocol.masks import FLAGS
from ..store.store import CXIStore
from ..streaming.cluster import Cluster, share_count
from ..streaming.shares import shares_of
from .carrier import Carrier
from .virtual import virtual_of

__all__ = ["Part", "written_apart"]

_FILE_BYTES = 32 << 30  # of pixels that one file has at most, and that a death costs


class Part(Protocol):
    """What workers write a share of; it goes to them by pickle."""

    def write(self, numbers: NDArray[np.int64], path: str) -> None:
        """Write some frames to a new file; one that is there is of an attempt before this."""


def _write(pickled: Any, numbers: NDArray[np.int64], path: str) -> None:
    part: Part = pickle.loads(pickled) if isinstance(pickled, bytes) else pickled
    part.write(numbers, path)


@contextmanager
def written_apart(
    client: Any,
    carrier: Carrier,
    wanted: Sequence[Attribute],
    part: Callable[[Sequence[str]], Part],
    verbose: bool,
) -> Iterator[list[str]]:
    """Have workers write the stacks that have a frame each, and make the carrier map these.

    Gives the new files' names. They are gone when the block raises.

    Parameters
    ----------
    client : dask.distributed.Client
        The cluster's.
    carrier : Carrier
        The conversion, which has been checked.
    wanted : sequence of Attribute
        What it writes.
    part : callable
        Takes names of attributes; returns what writes frames of them.
    verbose : bool
        Whether a progress bar is shown.
    """
    stacks = [one for one in wanted if _is_apart(carrier, one)]
    if not any(one.is_data for one in stacks) or carrier.frames is None:
        raise ValueError(
            "client= has workers write the frames of 'data', and there are none that are converted"
        )
    target = carrier.target.paths()[0]
    for one in stacks:
        if one.name in carrier.target:
            raise LayoutError(f"{target} has {one.name!r} already: name a new file")
    folder = _new_folder(Path(target))
    try:
        bar = progress_bar(len(carrier.frames), "Writing files") if verbose else nullcontext()
        with Cluster(client, "cxistack-convert") as cluster, bar as shown:
            work = part([one.name for one in stacks])
            names = _written(cluster, carrier, work, folder, shown)
        _map(carrier, stacks, names)
        _synchronise(folder.parent)
        yield names
    except BaseException:
        _remove(folder)
        raise


def _is_apart(carrier: Carrier, attribute: Attribute) -> bool:
    """Tell whether workers write an attribute: a stack with a frame for each of `data`."""
    if attribute.kind != "stack" or not carrier.is_streamed(attribute):
        return False
    return carrier.goes_with_data(attribute)


def _written(
    cluster: Cluster, carrier: Carrier, part: Part, folder: Path, bar: Progress | None
) -> list[str]:
    """Have workers write the files; return their names in the order of frames."""
    frames, data = carrier.frames, carrier.load_of("data")
    assert frames is not None
    nbytes = len(frames) * math.prod(data.frame_shape) * data.dtype.itemsize
    shares = shares_of(data.index, frames, share_count(cluster, nbytes, _FILE_BYTES))
    width = max(3, len(str(len(shares) - 1)))
    files = [str(folder / f"{k:0{width}}.cxi") for k in range(len(shares))]
    sent = cluster.sent(part)

    def take(k: int, _: None) -> None:
        if bar is not None:
            bar.update(len(shares[k]))

    futures = [
        cluster.submit(f"file-{k}", _write, sent, some, name)
        for k, (some, name) in enumerate(zip(shares, files, strict=True))
    ]
    cluster.take(futures, take)
    return files


def _map(carrier: Carrier, stacks: Sequence[Attribute], names: list[str]) -> None:
    """Make the carrier's stacks virtual over the files that were written."""
    assert carrier.frames is not None
    protocol, target = carrier.target.protocol, carrier.target.paths()[0]
    with CXIStore(names, protocol=protocol) as parts:
        for one in stacks:
            path = parts.find_dataset(one.name)
            raw = protocol.attribute(one.name).at(path).convention in FLAGS
            load = parts._prepare(one.name, raw=raw)
            if load.count != len(carrier.frames):
                raise StorageError(
                    f"{Path(names[0]).parent} has {load.count} frames of {one.name!r}, and "
                    f"{len(carrier.frames)} were to be written: something else writes there"
                )
            carrier.virtual[one.name] = virtual_of(load, np.arange(load.count), target)


def _new_folder(target: Path) -> Path:
    """Make a folder for the files beside the one that names them; nobody else has it."""
    number = 1
    while True:
        more = f"_{number}" if number > 1 else ""
        folder = target.with_name(f"{target.stem}_parts{more}")
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
        else:
            return folder


def _remove(folder: Path) -> None:
    """Remove the folder; a worker that has not heard yet may be about to write there."""
    for _ in range(3):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return


def _synchronise(folder: Path) -> None:
    """Have a folder's names on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
