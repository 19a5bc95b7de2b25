"""``cxistack follow``: counts the frames of a run while it is written, and draws the last one."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from ..pictures import picture
from ..pictures.frames import label_of, run_name, size_of
from ..pictures.place import place_of
from ..store.store import CXIStore
from .failure import failures_told
from .lines import say
from .opening import ChannelName, CropTo, DetectorName, EveryNth, FileNames, ProtocolFile
from .view import region

__all__ = ["follow"]

_LINE_EVERY = 5.0  # seconds, where no terminal shows one that changes


def follow(
    files: FileNames,
    attribute: Annotated[str, typer.Option(help="A stack or sequence of the protocol.")] = "data",
    timeout: Annotated[
        float, typer.Option(min=0, help="Seconds without a new frame after which it ends.")
    ] = 60.0,
    until: Annotated[int | None, typer.Option(min=1, help="Frames after which it ends.")] = None,
    swmr: Annotated[
        bool, typer.Option("--swmr", help="The files are written under SWMR; closing ends it.")
    ] = False,
    skip: Annotated[
        bool, typer.Option("--skip", help="Leave out files that cannot be read, and name them.")
    ] = False,
    image: Annotated[
        Path | None,
        typer.Option("--picture", metavar="FILE.png", help="Draw the last frame there, again."),
    ] = None,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two pictures.")] = 2.0,
    log: Annotated[bool, typer.Option("--log", help="Logarithmic colours.")] = False,
    crop: CropTo = None,
    downscale: EveryNth = 1,
    protocol: ProtocolFile = None,
    detector: DetectorName = None,
    channel: ChannelName = None,
) -> None:
    """Count the frames of FILES as they are written, until no more come; Ctrl-C ends it.

    Files that are not there yet are waited for, up to the timeout.
    """
    with failures_told():
        if image is not None:
            picture.new_figure(1, 1)  # raises before the run begins, where nothing can draw
        # Of a file that is to be left out, no longer than others are waited for.
        words: dict[str, Any] = {"swmr": swmr, "wait": timeout / 2 if skip else timeout}
        store = CXIStore(files, protocol=protocol, detector=detector, channel=channel, **words)
        frames = store.follow(
            attribute,
            timeout=timeout,
            until=until,
            transform=region(crop, downscale),
            on_error="skip" if skip else "raise",
        )
        counter = _Counter()
        last: NDArray[Any] | None = None
        drawn = -np.inf
        try:
            for some, numbers in frames:
                counter.add(len(some))
                last, number = some[-1], int(numbers[-1])
                if image is not None and time.monotonic() - drawn >= every:
                    _draw(store, attribute, last, number, image, log)
                    drawn, last = time.monotonic(), None
        except KeyboardInterrupt:
            frames.close()
        if image is not None and last is not None:
            _draw(store, attribute, last, number, image, log)
        counter.end()
        for problem in frames.problems:
            say(f"{problem.filename}: {problem.message}", err=True)


class _Counter:
    """Frames and their rate: a line that changes at a terminal, one every few seconds elsewhere."""

    def __init__(self) -> None:
        self._count = 0
        self._begin = self._last = self._told = time.monotonic()
        self._is_terminal = sys.stderr.isatty()

    def add(self, frames: int) -> None:
        """Count frames, and tell of them when it is time."""
        if not self._count:
            self._begin = time.monotonic()
        self._count += frames
        self._last = time.monotonic()
        if self._last - self._told >= (0.1 if self._is_terminal else _LINE_EVERY):
            self._told = self._last
            sys.stderr.write(f"\r{self._words}\x1b[K" if self._is_terminal else f"{self._words}\n")
            sys.stderr.flush()

    @property
    def _words(self) -> str:
        seconds = self._last - self._begin
        rate = f", {self._count / seconds:.1f} a second" if seconds >= 0.5 else ""
        return f"{self._count} frames{rate}"

    def end(self) -> None:
        """Tell how many there were."""
        if self._is_terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
        typer.echo(self._words)


def _draw(
    store: CXIStore, attr: str, frame: NDArray[Any], number: int, path: Path, log: bool
) -> None:
    """Draw a frame, or the modules of one below each other; who looks at the file sees it whole."""
    values = frame.reshape(-1, frame.shape[-1]) if frame.ndim > 1 else frame[None]
    pixels = picture.shrunk(values, picture.has_value(values))
    scale = picture.norm(pixels.compressed(), picture.Contrast(None, None, log))
    title = f"{run_name(store)}: {attr}, frame {number}, {size_of(frame.shape)} {frame.dtype}"
    figure = picture.new_figure(8, 6.4)
    label = label_of(store, attr, frame.dtype)
    panel = picture.Panel(pixels, scale, place_of(values.shape), title, label)
    panel.draw(figure.subplots())
    picture.save(figure, path)
