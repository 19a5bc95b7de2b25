"""How a store looks: one frame by Matplotlib, and what a notebook shows of it."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import DTypeLike

from ..errors import CastError, CXIError
from ..markup import notebook, notes
from ..pictures.frames import Look, Run
from ..pictures.picture import Contrast
from ..pictures.plot import Drawing, plot
from ..pictures.thumbnail import of_load
from ..transforms.transforms import TransformLike, transform_of
from .as_stored import unit_of
from .contents import Contents
from .table import html

__all__ = ["Drawn"]


class Drawn(Contents):
    """What a run's files hold, drawn; see :class:`CXIStore`."""

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the table, what is wrong, and a frame."""
        if not self:
            return notebook(repr(self))
        return html(self._catalogue, self.mode, self._thumbnail())

    def _thumbnail(self) -> str:
        """Return the first frame of `data`, or of what else has pixels, as HTML."""
        names = sorted(self.found, key=lambda name: name != "data")
        pixels = (name for name in names if self.protocol.attribute(name).has_pixels)
        if (attr := next(pixels, None)) is None:
            return ""
        words: dict[str, Any] = {}
        try:
            try:
                load = self._prepare(attr)
            except CastError:  # as floats, all values show
                words["dtype"] = "float64"
                load = self._prepare(attr, **words)
        except (CXIError, OSError) as error:
            return notes([f"no picture: {error}"])
        return of_load(load, partial(self._read, **words))

    def plot(
        self,
        attr: str = "data",
        frame: int = 0,
        *,
        ax: Any = None,
        transform: TransformLike = None,
        dtype: DTypeLike | None = None,
        mask: bool = True,
        module: int = 0,
        log: bool = False,
        vmin: float | None = None,
        vmax: float | None = None,
        percentiles: tuple[float, float] = (0.5, 99.5),
        mm: bool = False,
        cmap: str = "viridis",
        colorbar: bool = True,
    ) -> Any:
        """Draw one frame by Matplotlib, its bad pixels in grey.

        Axes are those of the detector, also of a cropped, binned or mirrored frame. A frame of more
        than 2000 pixels along an axis is drawn as bins of its good pixels, and the title says so.

        Parameters
        ----------
        attr : str
            A stack or a frame.
        frame : int
            Which frame of a stack; -1 is the last.
        ax : matplotlib.axes.Axes, optional
            Where it is drawn: in a new figure of pyplot when None, which a notebook shows.
        transform : Transform or list of them, optional
            What is done to the frame first.
        dtype : dtype, optional
            Type that it is loaded as; one that keeps every value when None.
        mask : bool
            Whether pixels that the run's mask calls bad are grey. Those without a value always are.
        module : int
            Which image of a frame of (..., ss, fs), such as a module of a detector.
        log : bool
            Logarithmic colours.
        vmin, vmax : float, optional
            Values of the lowest and the highest colour, instead of `percentiles`.
        percentiles : (float, float)
            Percentiles of the good pixels that the lowest and the highest colour stand for.
        mm : bool
            Axes in millimetres, by the run's `x_pixel_size` and `y_pixel_size`, from the outer edge
            of the first pixel; in pixels when False.
        cmap : str
            Matplotlib's name of the colours.
        colorbar : bool
            Whether there is a colour bar, with the unit.

        Returns
        -------
        matplotlib.axes.Axes
            `ax`, or the new ones; ``.figure.savefig("frame.png")`` writes their picture.

        Raises
        ------
        ImportError
            Matplotlib is not installed.
        AttributeMissingError, LayoutError, CastError, FrameIndexError
            As :meth:`load_attribute`; also where `mm` is asked for and no pixel size is known.
        IndexError
            There is no such module.
        TypeError
            `mask` is an array.
        ValueError
            `vmin` is above `vmax`, or `log` is asked of what is not positive.

        Warns
        -----
        RuntimeWarning
            The mask does not fit, and is not used.

        Examples
        --------
        >>> from matplotlib.figure import Figure
        >>> store = CXIStore(example_run)
        >>> axes = store.plot("data", -1, ax=Figure().subplots(), transform=Crop([2, 10, 5, 15]))
        >>> axes.get_title(), axes.get_xlabel()
        ('run.cxi: data, frame 5 of 6, 8 × 10 uint16', 'fast axis (pixel)')
        """
        self._check_open()
        if not isinstance(mask, bool | np.bool_):
            raise TypeError(
                "mask= of a plot is True or False: whether the run's own mask is shown, not "
                f"{type(mask).__name__}; a masked array of yours is drawn by Matplotlib's imshow"
            )
        look = Look(dtype, mask, Contrast(vmin, vmax, log, percentiles))
        drawing = Drawing(module, mm, cmap, colorbar)
        run = cast(Run, self)  # whatever loads: a store
        return plot(run, attr, frame, ax, transform_of(transform), (look, drawing))

    def _unit(self, attr: str) -> str | None:
        """Return the protocol's unit, or else what the datasets state, if that is the same."""
        return unit_of(self.protocol.attribute(attr), self._catalogue)
