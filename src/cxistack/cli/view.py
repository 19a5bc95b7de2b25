"""``cxistack view``: one frame of a stack, or a frame attribute, as a PNG picture."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from ..errors import AttributeMissingError, CastError, CXIError, LayoutError
from ..hdf5.messages import shown
from ..store.store import CXIStore
from ..transforms.base import Transform
from ..transforms.transforms import ComposeTransforms, Crop, Downscale
from . import picture
from .failure import failures_told
from .opening import CropTo, EveryNth, FileNames, ProtocolFile, open_run

__all__ = ["region", "view"]


def view(
    files: FileNames,
    output: Annotated[Path, typer.Option("-o", "--output", help="The PNG file.")] = Path(
        "frame.png"
    ),
    attribute: Annotated[str, typer.Option(help="A stack or a frame of the protocol.")] = "data",
    frame: Annotated[int, typer.Option(help="Which frame of a stack; -1 is the last.")] = 0,
    crop: CropTo = None,
    downscale: EveryNth = 1,
    dtype: Annotated[
        str | None, typer.Option(help="Type to load as; one that keeps every value if not given.")
    ] = None,
    vmin: Annotated[float | None, typer.Option(help="Value of the lowest colour.")] = None,
    vmax: Annotated[float | None, typer.Option(help="Value of the highest colour.")] = None,
    log: Annotated[bool, typer.Option("--log", help="Logarithmic colours.")] = False,
    use_mask: Annotated[
        bool, typer.Option("--mask/--no-mask", help="Show the mask's bad pixels in grey.")
    ] = True,
    protocol: ProtocolFile = None,
) -> None:
    """Draw one frame of FILES as a PNG picture; masked pixels and gaps are grey."""
    with failures_told(), open_run(files, protocol) as store:
        figure = picture.new_figure(8, 6.4)
        transform = region(crop, downscale)
        values = _values(store, attribute, frame, transform, dtype)
        good = picture.has_value(values)
        if use_mask and attribute != "mask" and "mask" in store:
            good &= _mask(store, frame, transform, values.shape)
        origin = (crop[0], crop[2]) if crop is not None else (0, 0)
        grey = good.size - np.count_nonzero(good)
        title = _title(store, attribute, frame, values)
        if grey:
            title += f"\n{grey:,} pixels without a good value, in grey"
        where = picture.extent(values.shape[-2:], origin, downscale)
        is_counted = store.protocol.attribute(attribute).is_data and values.dtype.kind in "iu"
        contrast = picture.Contrast(vmin, vmax, log)
        frames = np.ma.masked_array(values, ~good)
        _draw(figure, frames, contrast, where, title, "counts" if is_counted else attribute)
        picture.save(figure, output)
    typer.echo(f"{output}: {attribute} {_size(values.shape)} {values.dtype}")


def region(
    crop: tuple[int, int, int, int] | None, downscale: int, binning: int = 1
) -> Transform | None:
    """Return what --crop, --downscale and --bin ask for together; None for all pixels."""
    steps: list[Transform] = []
    if crop is not None:
        if min(crop) < 0:
            raise ValueError(f"--crop counts rows and columns from 0, not from {min(crop)}")
        steps.append(Crop(crop))
    if downscale > 1:
        steps.append(Downscale(downscale))
    if binning > 1:
        steps.append(Downscale(binning, mode="sum"))
    if len(steps) > 1:
        return ComposeTransforms(steps)
    return steps[0] if steps else None


def _values(
    store: CXIStore, attr: str, frame: int, transform: Transform | None, dtype: str | None
) -> NDArray[Any]:
    """Load one frame as the first type that keeps its values: float counts must show too."""
    kind = store.protocol.get_kind(attr, "")
    if kind in ("scalar", "sequence"):
        raise LayoutError(
            f"{attr!r} is a {kind}; a picture needs a stack or a frame: see cxistack info"
        )
    if attr not in store:
        raise AttributeMissingError(
            f"{attr!r} is not there; the files have {', '.join(store.found) or 'nothing known'}"
        )
    indexed = store.is_indexed(attr)
    choices = (dtype,) if dtype is not None else (None, "int64", "float64")
    for choice in choices:
        try:
            values = store.load_attribute(
                attr,
                [frame] if indexed else None,
                verbose=False,
                transform=transform,
                dtype=choice,
            )
        except CastError:
            if choice == choices[-1]:
                raise
        else:
            break
    values = np.asarray(values[0] if indexed else values)
    if 0 in values.shape:
        raise LayoutError(f"the picture would be empty: it has {_size(values.shape)} pixels")
    return values


def _mask(
    store: CXIStore, frame: int, transform: Transform | None, shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Load the frame's mask; a mask that does not fit hides nothing, and that is said."""
    try:
        mask = store.load_attribute("mask", [frame], verbose=False, transform=transform)[0]
        return np.broadcast_to(mask, shape)
    except (CXIError, ValueError) as error:
        typer.echo(f"Note: the mask is not used: {error}", err=True)
        return np.broadcast_to(np.True_, shape)


def _draw(
    figure: Any,
    frame: np.ma.MaskedArray[Any, Any],
    contrast: picture.Contrast,
    where: picture.Extent,
    title: str,
    label: str,
) -> None:
    """Draw a frame, or each module of a frame of more axes than two, in one scale of colours."""
    modules = list(frame.reshape(-1, *frame.shape[-2:]))
    columns = math.ceil(math.sqrt(len(modules)))
    grid = figure.subplots(math.ceil(len(modules) / columns), columns, squeeze=False).flat
    most = picture.MOST_PIXELS // columns
    pictures = [picture.shrunk(one.data, ~np.ma.getmaskarray(one), most) for one in modules]
    scale = picture.norm(np.concatenate([one.compressed() for one in pictures]), contrast)
    for number, (axes, one) in enumerate(zip(grid, pictures, strict=False)):
        head = title if len(modules) == 1 else f"module {number}"
        picture.Panel(one, scale, where, head, label).draw(axes)
    if len(modules) > 1:
        figure.suptitle(title, fontsize="medium")
        for axes in list(grid)[len(modules) :]:
            axes.set_visible(False)


def _title(store: CXIStore, attr: str, frame: int, values: NDArray[Any]) -> str:
    names = store.filenames()
    name = shown(Path(names[0]).name) + (f" and {len(names) - 1} more" if len(names) > 1 else "")
    which = attr
    if store.is_indexed(attr):
        total = len(store.indices())
        which += f", frame {frame % total} of {total}" if total else f", frame {frame}"
    return f"{name}: {which}, {_size(values.shape)} {values.dtype}"


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
