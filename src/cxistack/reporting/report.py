"""A report of a run: what it holds, how it looks, what is wrong, and how it would be read."""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CastError
from ..hdf5.messages import shown
from ..markup import preformatted
from ..pictures import picture
from ..pictures.colours import png
from ..pictures.frames import label_of, run_name, size_of
from ..pictures.mosaic import mosaic
from ..pictures.picture import Contrast
from ..pictures.plot import pixel_size
from ..store.store import CXIStore
from ..written import write_whole
from . import facts, page
from .facts import FAILURES
from .measured import Measured, measure
from .plots import counts_curve, positions_curve

__all__ = ["MOST_FRAMES", "Wanted", "chosen_frames", "report"]

MOST_FRAMES = 1000  # that are looked at where nobody says which
_ROOM = (720, 720)  # pixels of a picture
_MODULES = 16  # images of a frame of more axes than two that are drawn
_FILES = 200  # that are listed by name
_WIDE_RANGE = 30.0  # from this ratio of high to usual values on, colours are logarithmic


@dataclass(frozen=True)
class Wanted:
    """What a report is made of.

    Attributes
    ----------
    frames : int, slice or None
        Which frames are looked at; None is up to :data:`MOST_FRAMES`, evenly spaced.
    use_mask : bool
        Whether pixels that the run's mask calls bad are left out.
    num_threads : int or None
        How many threads work; every core when None.
    verbose : bool
        Whether a progress bar is shown.
    """

    frames: int | slice | None = None
    use_mask: bool = True
    num_threads: int | None = None
    verbose: bool = True


def report(run: CXIStore, output: Path, wanted: Wanted = Wanted()) -> list[str]:
    """Write a page of what a run holds, whole or not at all; return its problems.

    Frames are read once, in bounded memory. What cannot be read is said on the page, which has all
    else.

    Raises
    ------
    ImportError
        Matplotlib is not installed.
    OSError
        The page cannot be written; what was there stands.
    """
    picture.new_figure(1, 1)  # raises before the run is read, where nothing can draw
    failures: list[str] = []
    measured = None
    try:
        numbers = chosen_frames(run, wanted.frames)
        if len(numbers):
            measured = _measured(run, numbers, wanted, failures)
    except FAILURES as error:
        failures.append(f"data: {error}")
    problems = facts.problems(run, measured.left_out if measured else ())
    problems = [*(one for one in failures if one not in problems), *problems]
    found = facts.files(run)
    sections = [
        page.section("problems", "Problems", page.paragraphs(problems, are_bad=True)),
        _contents(run),
        _pictures(run, measured),
        _curves(run, measured),
        _files(found),
        _reading(run),
    ]
    lead = _lead(run, found, measured, wanted)
    foot = f"Made by cxistack {version('cxistack')}, {time.strftime('%Y-%m-%d %H:%M:%S %z')}."
    text = page.page(run_name(run), lead, [one for one in sections if one], foot)
    write_whole(output, text.encode("utf-8"))
    return problems


def chosen_frames(run: CXIStore, frames: int | slice | None) -> NDArray[np.int64]:
    """Return the numbers of the frames that are looked at.

    Raises
    ------
    IndexError, ValueError
        There is no such frame.
    """
    total = run.frame_count
    numbers = np.arange(total)
    if frames is None:
        return numbers[:: max(1, -(-total // MOST_FRAMES))]
    if isinstance(frames, int):
        frames = slice(frames, None if frames == -1 else frames + 1)
    some = numbers[frames]
    if total and not len(some):
        raise ValueError(f"no frame is chosen, of the {total} that there are")
    return np.sort(some)


def _measured(
    run: CXIStore, numbers: NDArray[np.int64], wanted: Wanted, failures: list[str]
) -> Measured | None:
    """Look at the frames; without their mask where that cannot be used."""
    how: dict[str, Any] = {"num_threads": wanted.num_threads, "verbose": wanted.verbose}
    how["dtype"] = _dtype(run)
    if wanted.use_mask and "mask" in run:
        try:
            return measure(run, numbers, use_mask=True, **how)
        except FAILURES as error:
            failures.append(f"The mask is not used: {error}")
    return measure(run, numbers, use_mask=False, **how)


def _lead(
    run: CXIStore, found: list[facts.FileFacts], measured: Measured | None, wanted: Wanted
) -> list[str]:
    sizes = [one.size for one in found if one.size is not None]
    what = f"{len(found):,} files" if len(found) != 1 else "1 file"
    folder = shown(run.paths()[0].rpartition("/")[0]) or "/"
    lead = [f"{what}, {facts.size_told(sum(sizes))}, in {folder}, {facts.protocol_told(run)}"]
    if measured is None:
        return lead
    size, dtype = size_of(measured.mean.shape), measured.highest.dtype
    what = f"{run.frame_count:,} frames" if run.frame_count != 1 else "1 frame"
    lead.append(f"{what} of {size} pixels, {dtype}")
    if _dtype(run) is not None:
        lead[-1] += ", as which they are loaded: the protocol has another type for data"
    told = f"Pictures and counts are of {facts.frames_told(measured.numbers, run.frame_count)}"
    if wanted.frames is None and len(measured.numbers) < run.frame_count:
        told += " (--frames : takes all)"
    return [*lead, told + "."]


def _contents(run: CXIStore) -> str:
    head = ("attribute", "kind", "shape", "type", "unit", "value", "found at")
    lines = facts.attributes(run)
    if not lines:
        return page.section("contents", "Contents", page.paragraphs(["Nothing of the protocol."]))
    return page.section("contents", "Contents", page.wide_table(head, lines))


def _pictures(run: CXIStore, measured: Measured | None) -> str:
    figures, told = [], []
    if measured is not None:
        label = label_of(run, "data", measured.highest.dtype)
        shots = {"Mean of the frames": measured.mean, "Maximum of the frames": measured.highest}
        if len(measured.numbers) == 1:
            shots = {f"Frame {measured.numbers[0]}": measured.highest}
        figures = [_shot(run, title, frame, label) for title, frame in shots.items()]
        figures.append(_mask_shot(run, measured))
    if "whitefield" in run:
        try:
            values = np.asarray(run.load_attribute("whitefield", verbose=False))
            white = np.ma.MaskedArray(values, ~picture.has_value(values))
            label = label_of(run, "whitefield", white.dtype)
            figures.append(_shot(run, "Whitefield, as the files have it", white, label))
        except FAILURES as error:
            told.append(f"whitefield: {error}")
    return page.section(
        "pictures", "Pictures", page.grid(figures), page.paragraphs(told, are_bad=True)
    )


def _shot(run: CXIStore, title: str, frame: np.ma.MaskedArray[Any, Any], label: str) -> str:
    images = list(frame.reshape(-1, *frame.shape[-2:])[:_MODULES])
    contrast = Contrast(log=_is_wide(frame))
    indices, (low, high) = mosaic(images, contrast, _ROOM)
    bad = int(np.ma.getmaskarray(frame).sum())
    caption = _extent(run, frame.shape)
    caption += " Logarithmic colours" if contrast.log else " Linear colours"
    caption += ", from the 0.5th to the 99.5th percentile of the good pixels."
    if bad:
        caption += f" {bad:,} pixels without a good value are grey."
    scale = (picture.told(low), picture.told(high), "" if label in run else label)
    return page.shot(page.Shot(png(indices), title, scale, caption))


def _mask_shot(run: CXIStore, measured: Measured) -> str:
    good = np.ma.MaskedArray(measured.good, False)
    images = list(good.reshape(-1, *good.shape[-2:])[:_MODULES])
    indices, _ = mosaic(images, Contrast(0.0, 1.0), _ROOM)
    never, some = int((good.data == 0).sum()), int(((good.data > 0) & (good.data < 1)).sum())
    caption = f"{never:,} pixels ({never / good.size:.3%}) are bad in every frame"
    caption += f", {some:,} in some." if some else "."
    caption += (
        " Bad is what the mask says, or has no value."
        if "mask" in run
        else (" The files have no mask: bad is what has no value.")
    )
    scale = ("never", "always", "good")
    return page.shot(page.Shot(png(indices), "Where pixels are good", scale, caption))


def _is_wide(frame: np.ma.MaskedArray[Any, Any]) -> bool:
    """Tell whether high values are so far above the usual ones that a linear scale hides these."""
    values = frame.compressed()
    values = values[values > 0]
    if not values.size:
        return False
    usual, high = np.percentile(values, (50, 99.5))
    return bool(high > _WIDE_RANGE * usual)


def _extent(run: CXIStore, shape: tuple[int, ...]) -> str:
    """Say how large a picture is."""
    told = f"{size_of(shape)} pixels"
    if len(shape) > 2:
        shown = min(_MODULES, int(np.prod(shape[:-2])))
        told += f", {shown} images row by row"
    try:
        height, width = pixel_size(run)
    except FAILURES:
        return f"{told}."
    return f"{told}, {shape[-2] * height:.4g} × {shape[-1] * width:.4g} mm."


def _curves(run: CXIStore, measured: Measured | None) -> str:
    figures: list[str] = []
    told: list[str] = []
    if measured is None:
        pass
    elif len(measured.numbers) > 1:
        made = counts_curve(measured.numbers, measured.counts)
        figures.append(page.curve("Counts per frame", *made))
    else:
        told.append(f"The sum of its good pixels is {picture.told(measured.counts[0])}.")
    for name in ("translations", "basis_vectors"):
        if name not in run:
            continue
        try:
            numbers = _rows(run, name) if measured is None else measured.numbers
            told += _positions(run, name, numbers, figures)
        except FAILURES as error:
            told.append(f"{name}: {error}")
    return page.section("frames", "Frame by frame", page.grid(figures), page.paragraphs(told))


def _rows(run: CXIStore, name: str) -> NDArray[np.int64]:
    """Return the rows of a sequence that goes with no frames."""
    total = run.describe(name)[0][0]
    return np.arange(total)[:: max(1, -(-total // MOST_FRAMES))]


def _positions(
    run: CXIStore, name: str, numbers: NDArray[np.int64], figures: list[str]
) -> list[str]:
    """Add a plot of positions, or return what is said of vectors."""
    unit = run._unit(name)
    if name == "basis_vectors":
        values = np.asarray(run.load_attribute(name, verbose=False))
        first = values.reshape(-1, *values.shape[-2:])[0]
        rows = "; ".join(f"({', '.join(f'{one:.6g}' for one in row)})" for row in first.tolist())
        of = f" of frame 0 of {len(values)}" if values.ndim > 2 else ""
        return [f"Basis vectors{of}, row by row: {rows}{f' {unit}' if unit else ''}."]
    values = np.asarray(run.load_attribute(name, numbers, verbose=False))
    made = positions_curve(name, values.reshape(len(values), -1), numbers, unit)
    figures.append(page.curve("Positions", *made))
    return []


def _files(found: list[facts.FileFacts]) -> str:
    counts = [one.frames for one in found]
    least, most = min(counts), max(counts)
    each = f"{most:,}" if least == most else f"{least:,} to {most:,}"
    told = f"{len(found):,} files, of {each} frames each."
    lines = [
        (one.name, "missing" if one.size is None else facts.size_told(one.size), f"{one.frames:,}")
        for one in found[:_FILES]
    ]
    more = [f"and {len(found) - _FILES:,} more files"] if len(found) > _FILES else []
    body = page.wide_table(("size", "frames", "file"), [(b, c, a) for a, b, c in lines])
    if len(found) > 10:
        body = f"<details><summary>Their names</summary>{body}{page.paragraphs(more)}</details>"
    return page.section("files", "Files", page.paragraphs([told] if found[1:] else []), body)


def _reading(run: CXIStore) -> str:
    if "data" not in run:
        return ""
    try:
        told = run.explain("data", dtype=_dtype(run))
    except FAILURES as error:
        return page.section("reading", "How it is read", page.paragraphs([error], are_bad=True))
    lines = [line for line in told.split("\n") if not line.startswith("  kept:")]
    return page.section("reading", "How data is read", preformatted("\n".join(lines)))


def _dtype(run: CXIStore) -> str | None:
    """Return the type that data load as, where the protocol's is none that they have."""
    try:
        run.describe("data")
    except CastError:
        return "float64"
    return None
