"""What other libraries take frames by, xarray and PyTorch, beside our loads and plain h5py.

xarray's region is read by ``xarray.open_dataset(..., engine="cxistack")``, and by `load_attribute`
with the same crop. PyTorch's loaders have two workers that stay, or none; the peer is a data set
that has h5py read the frame of a number, as tutorials have it. A loader's batches are counted, and
not looked at: that is the same for all. What is not installed is not measured.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

import cxistack as cxi

from ..harness.data import CODECS, DETECTOR, PATH, detector_frames, workspace
from ..harness.options import Options, Size
from ..harness.report import Report
from ..harness.results import OURS, Figure, Ratio
from ..harness.timing import Pace, in_turns

__all__ = ["SIZES", "run"]

SIZES = {
    "normal": Size(60, DETECTOR, Pace(5)),
    "quick": Size(24, DETECTOR, Pace(3)),
    "tiny": Size(6, (20, 30), Pace(1)),
}
CODEC = "bitshuffle+LZ4"
BATCH, WORKERS = 8, 2
H5PY = "h5py data set"


def run(report: Report, options: Options) -> None:
    """Write a file, verify, measure; remove the file."""
    size = options.choose(SIZES)
    frames = detector_frames(size.frames, size.shape)
    with workspace(options.folder, 3 * frames.nbytes) as folder:
        report.place(f"in the page cache ({folder.parent})")
        path = folder / "run.h5"
        with h5py.File(path, "w") as h5:
            h5.create_dataset(PATH, data=frames, chunks=(1, *size.shape), **CODECS[CODEC])
        for library, measure in (("xarray", _xarray), ("torch", _torch)):
            if importlib.util.find_spec(library) is None:
                report.say(f"without {library}: it is not installed")
                continue
            for case, found in measure(path, frames, size, options):
                report.add(case, others=found)
        path.unlink()


def _xarray(
    path: Path, frames: NDArray[Any], size: Size, options: Options
) -> Iterator[tuple[str, list[Any]]]:
    """Read a region of all frames by xarray and by a load."""
    import xarray as xr

    case = "xarray: a region of 400 x 600"
    if not options.wants(case):
        return
    ss, fs = (slice(800, 1200), slice(700, 1300)) if size.shape == DETECTOR else (slice(4, 9),) * 2
    crop = cxi.Crop([ss.start, ss.stop, fs.start, fs.stop])
    with (
        cxi.CXIStore(path) as store,
        xr.open_dataset(path, engine="cxistack", cache=False) as dataset,
    ):
        ways: dict[str, Callable[[], NDArray[Any]]] = {
            OURS: lambda: dataset["data"][:, ss, fs].values,
            "the load": lambda: store.load_attribute("data", transform=crop, verbose=False),
        }
        for way in ways.values():
            np.testing.assert_array_equal(way(), frames[:, ss, fs])
        spent = in_turns(ways, size.pace)
    value = spent["the load"].seconds / spent[OURS].seconds
    yield case, [Ratio(CODEC, case, "the load", value, 0.9, 1.0)]


class H5pyFrames:
    """A data set as tutorials have it: each worker opens the file, and reads a frame."""

    def __init__(self, path: Path, count: int) -> None:
        self.path, self.count = path, count
        self._dataset: Any = None

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> Any:
        import torch

        if self._dataset is None:
            self._dataset = h5py.File(self.path)[PATH]
        return torch.from_numpy(self._dataset[number])


def _torch(
    path: Path, frames: NDArray[Any], size: Size, options: Options
) -> Iterator[tuple[str, list[Any]]]:
    """Walk through loaders of all frames."""
    from torch.utils.data import DataLoader

    from cxistack.adapters.torch import FrameDataset, IterableFrameDataset, collate

    for workers, must in ((WORKERS, 2.0), (0, None)):
        case = f"DataLoader, {workers} workers"
        if not options.wants(case):
            continue
        how: dict[str, Any] = {"num_workers": workers, "persistent_workers": workers > 0}
        with cxi.CXIStore(path) as store:
            numbered = FrameDataset(store, "data", numbered=True)
            for batch, numbers in DataLoader(numbered, BATCH, collate_fn=collate):
                np.testing.assert_array_equal(batch.numpy(), frames[numbers])
            ours = FrameDataset(store, "data")
            loaders = {
                OURS: DataLoader(ours, BATCH, collate_fn=collate, **how),
                "torch's collation": DataLoader(ours, BATCH, **how),
                "in order": DataLoader(
                    IterableFrameDataset(store, "data", BATCH), batch_size=None, **how
                ),
                H5PY: DataLoader(H5pyFrames(path, len(frames)), BATCH, **how),
            }
            ways = {name: _walk(loader, len(frames)) for name, loader in loaders.items()}
            spent = in_turns(ways, size.pace)
        found: list[Any] = [
            Ratio(CODEC, case, H5PY, spent[H5PY].seconds / spent[OURS].seconds, must)
        ]
        for name in ("torch's collation", "in order"):
            value = spent[H5PY].seconds / spent[name].seconds
            found.append(Figure(CODEC, f"{case}, {name}", f"times {H5PY}'s speed", value, "x"))
        del loaders, ways
        yield case, found


def _walk(loader: Any, count: int) -> Callable[[], None]:
    def walk() -> None:
        assert sum(map(len, loader)) == count

    return walk
