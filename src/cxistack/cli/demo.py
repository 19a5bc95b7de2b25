"""``cxistack demo``: the main job from end to end, each step shown as the line that does it."""

from __future__ import annotations

import glob
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from tqdm.auto import tqdm

from ..errors import CXIError
from ..pictures import picture
from ..pictures.place import Place, place_of
from .failure import failures_told
from .speckle_run import BEAM, FILES, SHAPE, write_run

__all__ = ["demo"]

_BIN = 2
_CROP = (BEAM[0] - 10, BEAM[1] + 10, BEAM[2] - 10, BEAM[3] + 10)

# What is printed is what runs: these lines, one after another. {run} and {results} are file names.
_STEPS = (
    ("import numpy as np", "import cxistack as cxi"),
    ("# The files of the run, as one", "store = cxi.CXIStore({run})", "store"),
    (
        "# The beam only, in bins of 2 x 2 pixels, as float32: from all files as one array",
        f"roi = cxi.ComposeTransforms([cxi.Crop({list(_CROP)}), "
        f'cxi.Downscale({_BIN}, mode="sum")])',
        'data = store.load_attribute("data", transform=roi, dtype="float32")',
        "data.shape, data.dtype",
    ),
    (
        "# The rest goes into a container; a bin is good where all of its pixels are",
        "st = cxi.STData(store, transform=roi, data=data)",
        'st = st.load(["mask", "translations", "x_pixel_size", "y_pixel_size"])',
        "st.mask[0].mean()  # the part of the pixels that is good",
    ),
    (
        "# The flat field: the mean over the frames of what is good",
        "total = np.sum(st.data, axis=0, where=st.mask, dtype=np.float64)",
        "white = total / np.maximum(np.count_nonzero(st.mask, axis=0), 1)",
        f"st = st.replace(whitefield=white, x_pixel_size=st.x_pixel_size * {_BIN}, "
        f"y_pixel_size=st.y_pixel_size * {_BIN})",
    ),
    (
        "# Saved in one commit, and read back",
        'output = cxi.CXIStore({results}, mode="w")',
        'names = ["mask", "whitefield", "translations", "x_pixel_size", "y_pixel_size"]',
        "st.update_output_file(output).save(names)",
        "results = cxi.CXIStore({results})",
        "results",
        'same = np.array_equal(results.load_attribute("whitefield"), st.whitefield)',
        "same",
    ),
    (
        "# One frame without the lens's own structure",
        "good = st.mask[0] & (st.whitefield > 0)",
        "flat = np.divide(st.data[0], st.whitefield, out=np.ones(good.shape), where=good)",
    ),
)


def demo(
    folder: Annotated[Path, typer.Option(help="Where the run's files go.")] = Path("demo"),
    frames: Annotated[int, typer.Option(min=FILES, help="How many frames the run has.")] = 100,
    output: Annotated[Path, typer.Option("-o", "--output", help="The PNG file.")] = Path(
        "demo.png"
    ),
) -> None:
    """Simulate a speckle-tracking run, load it, find its flat field, save that and draw it.

    Each step is shown as the line of Python that does it. Files of an earlier demo are replaced.
    """
    with failures_told():
        figure = picture.new_figure(15, 3.7)
        folder.mkdir(parents=True, exist_ok=True)
        made = write_run(folder, frames)
        for _ in tqdm(made, total=FILES, desc=f"Simulating {frames} frames", unit="file"):
            pass
        found = _run(folder)
        if not found["same"]:
            raise CXIError("what was read back is not what was saved: this is a bug, please report")
        _draw(figure, found)
        picture.save(figure, output)
        found["store"].close()
        found["results"].close()
        typer.echo(f"\n{output}: a frame, the flat field, and the frame divided by it")


def _run(folder: Path) -> dict[str, Any]:
    """Run the steps as an interpreter does, showing each; return the names they leave."""
    names: dict[str, Any] = {}
    words = {
        "{run}": str(Path(glob.escape(str(folder))) / "run_*.cxi"),
        "{results}": str(folder / "results.cxi"),
    }
    for step in _STEPS:
        typer.echo()
        for line in step:
            for word, value in words.items():
                line = line.replace(word, repr(value))
            if line.startswith("#"):
                typer.echo(line)
                continue
            typer.echo(f">>> {line}")
            # "single" shows the value of an expression, as the interactive interpreter does.
            exec(compile(line, "<demo>", "single"), names)
    return names


def _draw(figure: Any, found: dict[str, Any]) -> None:
    from matplotlib.patches import Rectangle

    store, st, flat = found["store"], found["st"], found["flat"]
    raw = store.load_attribute("data", [0], verbose=False)[0]
    good = store.load_attribute("mask", [0], verbose=False)[0]
    left, middle, right = figure.subplots(1, 3)
    figure.get_layout_engine().set(wspace=0.05)
    top, bottom, first, last = _CROP
    place = place_of(flat.shape, found["roi"])
    lit = st.whitefield > 0.2 * np.median(st.whitefield)  # outside the beam there is only noise
    title = f"raw frame 0, {SHAPE[0]} × {SHAPE[1]} pixels"
    _panel(raw, good, place_of(SHAPE), title, "photons per pixel").draw(left)
    corner, size = (first - 0.5, top - 0.5), (last - first, bottom - top)
    left.add_patch(Rectangle(corner, *size, fill=False, ec="w", lw=0.8, ls="--"))
    title = f"flat field, mean of {len(st.data)} frames, bins of {_BIN} × {_BIN}"
    _panel(st.whitefield, st.mask[0], place, title, "photons per bin").draw(middle)
    title = "frame 0 divided by the flat field"
    speckle = _panel(flat, found["good"] & lit, place, title, "relative intensity")
    replace(speckle, cmap="gray", masked="#5b8fb9").draw(right)
    figure.suptitle("Near-field speckle of a phase object in a projected multilayer Laue lens")


def _panel(
    frame: NDArray[Any], good: NDArray[np.bool_], place: Place, title: str, label: str
) -> picture.Panel:
    shown = picture.shrunk(frame, good)
    return picture.Panel(shown, picture.norm(shown.compressed()), place, title, label)
