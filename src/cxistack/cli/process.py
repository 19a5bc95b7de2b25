"""``cxistack process``: the mask and the whitefield of a run, in a new file, and how they look."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from ..catalogue.frames import frame_numbers
from ..container.processing import MaskMethod, stored_stack
from ..container.stdata import STData
from ..pictures.frames import run_name
from ..pictures.panels import draw_frames
from ..progress import Progress, progress_bar
from ..protocol.protocol import CXIProtocol
from ..store.store import CXIStore
from .failure import failures_told
from .opening import (
    ChannelName,
    CropTo,
    DetectorName,
    EveryNth,
    FileNames,
    Force,
    Frames,
    ProtocolFile,
    Threads,
    frame_choice,
    new_file,
    open_run,
)
from .view import region

__all__ = ["process"]


class _Watched(CXIStore):
    """A run that tells a progress bar of the frames that are read of it."""

    bar: Progress | None = None
    rows = 1  # of a frame
    done = 0.0  # frames; of a band of their rows, the part that it is of them
    told = 0

    def load_attribute(self, attr: str, *args: Any, **words: Any) -> Any:
        """Load, and tell."""
        values = super().load_attribute(attr, *args, **words)
        if self.bar is not None and attr == "data":
            self.done += len(values) * values.shape[-2] / self.rows
            self.bar.update(int(self.done) - self.told)
            self.told = int(self.done)
        return values

    @contextmanager
    def step(self, what: str, frames: int) -> Iterator[None]:
        """Show the progress of a step that reads so many frames."""
        with progress_bar(frames, what) as self.bar:
            self.done, self.told = 0.0, 0
            yield
        self.bar = None


def process(
    files: FileNames,
    output: Annotated[Path, typer.Option("-o", "--output", help="The new CXI file.")],
    method: Annotated[
        MaskMethod,
        typer.Option(
            help="Bad pixels: perc-bad, those that differ most from the pixels around them; "
            "range-bad, those outside of --vmin and --vmax; no-bad, none."
        ),
    ] = "perc-bad",
    pmin: Annotated[float, typer.Option(help="Percentiles of perc-bad.")] = 0.0,
    pmax: Annotated[float, typer.Option(help="Percentiles of perc-bad.")] = 99.99,
    vmin: Annotated[float, typer.Option(help="Limits of range-bad.")] = 0,
    vmax: Annotated[float, typer.Option(help="Limits of range-bad.")] = 65535,
    frames: Frames = None,
    use_mask: Annotated[
        bool,
        typer.Option("--mask/--no-mask", help="Pixels that the run's mask says are bad stay so."),
    ] = True,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="PNG", help="The picture; OUTPUT with .png if not given."),
    ] = None,
    crop: CropTo = None,
    downscale: EveryNth = 1,
    force: Force = False,
    threads: Threads = None,
    protocol: ProtocolFile = None,
    detector: DetectorName = None,
    channel: ChannelName = None,
) -> None:
    """Find the bad pixels of FILES and their whitefield, write both to a CXI file, and draw them.

    Frames of any number are read a part at a time. OUTPUT appears when it is complete.
    """
    with failures_told(), open_run(files, protocol, detector, channel) as found:
        run = _Watched(files, protocol=found.protocol, detector=detector, channel=channel)
        mode = new_file(output, run, force)
        target = CXIStore(output, mode, protocol=CXIProtocol.import_named("cxi"))
        numbers = frame_numbers(frame_choice(frames), run.frame_count, "data")
        st = STData(run, region(crop, downscale), target, num_threads=threads, frames=numbers)
        limits = {"pmin": pmin, "pmax": pmax, "vmin": vmin, "vmax": vmax}
        st, bad = _processed(st, run, method, limits, use_mask and "mask" in run)
        drawn = picture or output.with_suffix(".png")
        shown = {"whitefield": st.whitefield, "frames in which a pixel is bad": bad}
        draw_frames(shown, f"{run_name(run)}: {len(numbers)} frames, mask by {method}", drawn)
    shape = " x ".join(map(str, st.mask.shape))
    share = bad.sum() / max(1, bad.size * len(numbers))
    typer.echo(f"{output}: mask {shape}, {share:.3%} of the pixels are bad")
    typer.echo(f"{output}: whitefield {st.whitefield.shape} {st.whitefield.dtype}")
    typer.echo(f"{drawn}: both")


def _processed(
    st: STData, run: _Watched, method: MaskMethod, limits: dict[str, float], has_mask: bool
) -> tuple[STData, NDArray[np.int64]]:
    """Make mask and whitefield and save them; return them and in how many frames a pixel is bad."""
    count = len(st.frames)
    run.rows = run.describe("data", transform=st.transform)[0][-2]
    if has_mask:
        st = st.replace(mask=stored_stack(st, "mask"))
    with run.step("Mask", count):
        st = st.update_mask(method, **limits, update="multiply" if has_mask else "reset")
    # Wherever it is needed, the mask is made of the frames again, unless it has no rule.
    passes = 1 if method == "no-bad" else 2
    with run.step("Whitefield", passes * count):
        st = st.update_whitefield()
    with run.step("Saving", (passes - 1) * count):
        st.save(["mask", "whitefield"], mode="overwrite")
    with run.step("Counting bad pixels", (passes - 1) * count):
        bad = sum((~good for good in st.mask), np.zeros(st.mask.shape[1:], np.int64))
    return st, bad
