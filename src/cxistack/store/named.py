"""Stores of datasets that are named by file and path, without a protocol of the user's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import AttributeMissingError
from ..hdf5.dataset_names import DatasetName, dataset_name
from ..hdf5.links import resolve
from ..hdf5.names import Given
from ..hdf5.opening import files_of
from ..hdf5.stored import describe
from ..protocol.protocol import CXIProtocol
from .picking import keys_of, picked
from .store import CXIStore

__all__ = ["named_run", "named_store", "read_part"]

_PART = "dataset"
_KINDS = ("scalar", "sequence", "frame", "stack")


def named_store(attr: str, name: DatasetName, **words: Any) -> CXIStore:
    """Return a store in which a dataset has the name `attr`, of a kind that its axes say.

    A group is its datasets of frames, one after the other, as a path of a protocol is.

    Raises
    ------
    FileNotFoundError, StorageError
        The file is not there, or is no HDF5 file.
    AttributeMissingError, LayoutError, LinkError
        There is nothing at the path, or nothing that can be read.
    """
    return _store(attr, [name.filename], name.path, _KINDS, words)


def read_part(name: DatasetName, num_threads: int | None, **words: Any) -> Any:
    """Read what the index of a name means of its dataset; the words are those of a load.

    Raises
    ------
    FrameIndexError
        The dataset is not indexed so.
    ValueError
        Both the index and a transform say which pixels.
    """
    with named_store(_PART, name, chunk_cache=0) as store:
        load = store._prepare(_PART)
        full = keys_of(name.index, load.shape, name.path)
        assert full is not None  # there are no booleans in it
        wanted = picked(full, load.shape, not load.is_single, load.attribute.has_pixels)
        if wanted.pixels is not None:
            if words["transform"] is not None:
                raise ValueError("the index of the name and transform= both say which pixels")
            words["transform"] = wanted.pixels
        values = store._read(_PART, wanted.frames, num_threads=num_threads, **words)
        return values[wanted.left] if wanted.left else values


def named_run(texts: Sequence[str]) -> CXIStore | None:
    """Return a store whose `data` are the datasets that texts name; None where they name files.

    A dataset of two axes is one frame.

    Raises
    ------
    ValueError
        Some name a dataset and others a file alone, or they are at different paths, or only a part
        of a dataset is named.
    """
    names = [dataset_name(text) for text in texts]
    named = [name for name in names if name is not None]
    if not named:
        return None
    paths = list(dict.fromkeys(name.path for name in named))
    if len(named) < len(names):
        alone = texts[names.index(None)]
        raise ValueError(f"{alone!r} names a file, and others a dataset: write FILE::{paths[0]}")
    if len(paths) > 1:
        raise ValueError(f"one run has its frames at one path, not at {paths[0]} and {paths[1]}")
    part = next((k for k, name in enumerate(named) if name.index is not None), None)
    if part is not None:
        raise ValueError(
            f"{texts[part]!r} names a part of a dataset: name it all, and say the part by --frame, "
            "--frames or --crop"
        )
    kinds = ("scalar", "sequence", "stack", "stack")
    return _store("data", [name.filename for name in named], paths[0], kinds, {})


def _store(
    attr: str, filenames: Sequence[str], path: str, kinds: Sequence[str], words: dict[str, Any]
) -> CXIStore:
    files = files_of(Given(filenames))
    try:
        place = resolve(files, files.paths[0], path)
        if place is None:
            raise AttributeMissingError(f"{files.names[0]} has nothing at {path}")
        # The datasets of a group are frames one after the other, as in a protocol.
        datatype, kind = "number", kinds[-1]
        if place.is_dataset:
            seen = describe(files, place)
            datatype, kind = "str" if seen.is_text else "number", kinds[min(3, seen.ndim)]
    finally:
        files.release()
    protocol = CXIProtocol({attr: datatype}, {attr: [path]}, {attr: kind})
    return CXIStore(filenames, "r", protocol, **words)
