"""STData: the container of a run's attributes; loads, transforms, replaces and saves them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..catalogue.frames import FrameSelection, frame_numbers
from ..errors import AttributeMissingError
from ..markup import notebook, table
from ..pictures.thumbnail import of_array
from ..processing.stacks import ComputedStack, is_computed
from ..protocol.attribute import Attribute
from ..saving.request import SaveMode, SaveRequest
from ..store.store import CXIStore
from ..transforms.base import Transform
from ..transforms.fold import fold
from ..transforms.transforms import TransformLike, transform_of
from .on_dask import OnDask
from .outgoing import Outgoing, opened

__all__ = ["STData"]


_FIELDS = ("input_file", "transform", "output_file", "frames", "num_threads")


class STData(OnDask):
    """What was loaded of a run: the protocol's attributes by name, and where to save them.

    Parameters
    ----------
    input_file : CXIStore
        Where attributes are loaded from; its protocol says which there are.
    transform : Transform, optional
        What is done to frames and stacks when they are loaded.
    output_file : CXIStore, optional
        Where attributes are saved.
    **attributes
        Values of the protocol's attributes, `frames` (the numbers of the frames loaded) and
        `num_threads` (how many threads load; every core when None).

    Notes
    -----
    Attributes are items (``st["data"]``) and Python attributes (``st.data``); what has no value is
    None. Methods return a new container. Where there is `data`, `good_frames` are all frames,
    `mask` is all good, and `whitefield` is that of :meth:`update_whitefield` until others are
    loaded or given; the last is computed when it is first asked for.

    Where there is no `data`, the methods that process it read it from the input file, a part at a
    time, and stacks that they make are computed when they are indexed or saved. So a run is
    processed that memory does not hold: load all else that the file has, and not `data`.

    Examples
    --------
    >>> st = STData(CXIStore(example_run), transform=Crop([0, 2, 0, 3])).load("data", idxs=[1])
    >>> st.data
    array([[[200, 201, 202],
            [220, 221, 222]]], dtype=uint16)
    >>> st.good_frames, st.mask.all()
    (array([0]), np.True_)
    >>> st.replace(data=None).contents()
    ['input_file', 'transform', 'frames']
    """

    def __init__(
        self,
        input_file: CXIStore,
        transform: TransformLike = None,
        output_file: CXIStore | None = None,
        **attributes: Any,
    ) -> None:
        values = {"input_file": input_file, "transform": None, "output_file": output_file}
        object.__setattr__(self, "_values", values)
        object.__setattr__(self, "_as_loaded", {})
        object.__setattr__(self, "_made", {})
        self["transform"] = transform
        for attr, value in attributes.items():
            self[attr] = value

    # ---------------------------------------------------------------- a mapping and an object

    _values: dict[str, Any]
    # Scalars and sequences as the files gave them: the unit of these is known.
    _as_loaded: dict[str, Any]
    # What was made of the values when it was asked for, until one of them is replaced.
    _made: dict[str, Any]

    def keys(self) -> list[str]:
        """Return the names that may have a value: the container's own and the protocol's."""
        return [*_FIELDS, *self._values["input_file"].protocol]

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, attr: object) -> bool:
        return attr in _FIELDS or attr in self._values["input_file"].protocol

    def __len__(self) -> int:
        return len(self.keys())

    def _check_name(self, attr: str) -> None:
        if attr not in self:
            raise AttributeMissingError(
                f"{attr!r} is not an attribute of this container, which knows {', '.join(self)}"
            )

    def __getitem__(self, attr: str) -> Any:
        self._check_name(attr)
        value, data = self._values.get(attr), self._values.get("data")
        if value is None and data is not None:
            # Made when they are asked for: so they always fit, and the mask takes no memory.
            if attr == "good_frames":
                return np.arange(len(data))
            if attr == "mask":
                return np.broadcast_to(np.True_, np.shape(data))
            if attr == "whitefield" and self._has_whitefield:
                if attr not in self._made:
                    self._made[attr] = self._whitefield(self._frames())
                return self._made[attr]
        return value

    @property
    def _has_whitefield(self) -> bool:
        """Whether there is a whitefield, if only when it is asked for."""
        if self._values.get("whitefield") is not None:
            return True
        data = self._values.get("data")
        return data is not None and np.ndim(data) > 2 and len(self["good_frames"]) > 0

    def __setitem__(self, attr: str, value: Any) -> None:
        self._check_name(attr)
        self._values[attr] = transform_of(value) if attr == "transform" else value
        self._made.clear()

    def __getattr__(self, attr: str) -> Any:
        # Called only for names that Python finds nowhere else, "_values" too while unpickling.
        if attr.startswith("_") or attr not in self:
            raise AttributeError(f"{type(self).__name__} has no attribute {attr!r}")
        return self[attr]

    def __setattr__(self, attr: str, value: Any) -> None:
        if attr not in self:
            raise AttributeError(f"{type(self).__name__} has no attribute {attr!r} to set")
        self[attr] = value

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]

    def values(self) -> list[Any]:
        """Return the values, in the order of :meth:`keys`; None where there is no value."""
        return [self[attr] for attr in self]

    def items(self) -> list[tuple[str, Any]]:
        """Return (name, value) pairs, in the order of :meth:`keys`."""
        return [(attr, self[attr]) for attr in self]

    def get(self, attr: str, value: Any = None) -> Any:
        """Return the value of `attr`, or `value` for a name that the container does not know."""
        return self[attr] if attr in self else value  # noqa: SIM401 (this is get)

    def contents(self) -> list[str]:
        """Return the names that have a value."""
        return [
            attr
            for attr in self
            if (self._has_whitefield if attr == "whitefield" else self[attr] is not None)
        ]

    def __repr__(self) -> str:
        lines = [f"  {attr}: {shown}" if shown else f"  {attr}" for attr, shown in self._shown()]
        return "\n".join([self._title, *lines])

    def _repr_html_(self) -> str:
        return notebook(
            self._title, table(("attribute", "value"), self._shown()), self._thumbnail()
        )

    @property
    def _title(self) -> str:
        return f"STData of {len(self.input_file.filenames())} files, transform={self.transform}"

    def _shown(self) -> list[tuple[str, str]]:
        """Return the names that have a value, each with what is shown of it; nothing is made."""
        shown = []
        for attr in self.contents():
            is_made = attr == "whitefield" and self._values.get(attr) is None
            if attr not in ("input_file", "transform") and not is_made:
                value = self[attr]
                told = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else value
                shown.append((attr, "" if attr == "output_file" else str(told)))
        return shown

    def _thumbnail(self) -> str:
        """Return the first frame that is in memory, as HTML."""
        for attr in ("data", "whitefield", "mask"):
            values = self._values.get(attr)
            if isinstance(values, np.ndarray) and values.size:
                is_stack = attr != "whitefield" and values.ndim > 2
                frame = values[0] if is_stack else values
                what = f"{attr}, frame 0 of {len(values)}" if is_stack else attr
                return of_array(frame, what, is_mask=attr == "mask")
        return ""

    @property
    def shape(self) -> tuple[int, ...]:
        """(frames, ss, fs) of what the container has; 0 where it has nothing that says so."""
        if self._values.get("data") is not None:
            return np.shape(self._values["data"])
        count, grid = 0, (0, 0)
        for kind in ("sequence", "frame", "stack"):  # the last counts
            for attribute in self._loaded(kind):
                shape = np.shape(self[attribute.name])
                is_by_frame = attribute.has_a_frame_each(len(shape))
                if is_by_frame:
                    count = shape[0]
                if attribute.has_pixels:
                    grid = shape[1:] if is_by_frame else shape[-2:]
        return count, *grid

    def _loaded(self, *kinds: str) -> list[Attribute]:
        """Return those attributes of some kinds that have a value which was loaded or given."""
        names = [attr for attr in self.input_file.protocol if self._values.get(attr) is not None]
        attributes = map(self.input_file.protocol.attribute, names)
        return [attribute for attribute in attributes if attribute.kind in kinds]

    # ---------------------------------------------------------------- new containers

    def replace(self, **attributes: Any) -> Self:
        """Return a new container with some attributes replaced."""
        new = type(self)(**{**self._values, **attributes})
        new._as_loaded.update(self._as_loaded)
        return new

    def clear(self, attributes: str | Iterable[str] | None = None) -> Self:
        """Return a new container without these arrays; without all arrays when None."""
        names = self._names(attributes, self.contents())
        values = {attr: self._values.get(attr) for attr in names}
        return self.replace(
            **{
                attr: None
                for attr, value in values.items()
                if isinstance(value, np.ndarray) or is_computed(value)
            }
        )

    def update_output_file(self, output_file: CXIStore) -> Self:
        """Return a new container that saves to `output_file`."""
        return self.replace(output_file=output_file)

    def update_transform(self, transform: TransformLike) -> Self:
        """Return a new container with another transform.

        Frames and stacks are transformed if the container had no transform. Otherwise they are
        dropped, as a transform cannot be undone: load them again. Stacks that are computed when
        they are indexed are dropped in any case: make them again.
        """
        transform = transform_of(transform)
        is_whole = self.transform is None
        pixels = {
            one.name: _transformed(one, self[one.name], transform)
            if is_whole and not is_computed(self[one.name])
            else None
            for one in self._loaded("frame", "stack")
        }
        return self.replace(transform=transform, **pixels)

    def _names(self, names: str | Iterable[str] | None, default: list[str]) -> list[str]:
        if names is None:
            return default
        chosen = [names] if isinstance(names, str) else list(names)
        for name in chosen:
            self._check_name(name)
        return chosen

    # ---------------------------------------------------------------- files

    def load(
        self,
        attributes: str | Iterable[str] | None = None,
        idxs: FrameSelection = None,
        processes: int | None = None,
        verbose: bool = True,
    ) -> Self:
        """Return a new container with attributes loaded from the input files.

        Parameters
        ----------
        attributes : str or list of str, optional
            What is loaded; all that the files have when None.
        idxs : None, int, slice, sequence or array of int, or boolean mask
            Which frames; see :meth:`CXIStore.load_attribute`.
        processes : int, optional
            How many threads work; `num_threads` of the container when None.
        verbose : bool
            Show progress bars.

        Raises
        ------
        AttributeMissingError, LayoutError, ...
            As :meth:`CXIStore.load_attribute`: what cannot be loaded is not left out.
        """
        store: CXIStore = self.input_file
        loaded: dict[str, Any] = {}
        with opened(store):
            store.update_indices()
            names = self._names(attributes, store.found)
            count = store.frame_count
            frames = frame_numbers(idxs if count else None, count, "data")
            for attr in names:
                has_pixels = store.protocol.attribute(attr).has_pixels
                loaded[attr] = store.load_attribute(
                    attr,
                    idxs if store.is_indexed(attr) else None,
                    processes=processes if processes is not None else self.num_threads,
                    transform=self.transform if has_pixels else None,
                    verbose=verbose,
                )
        if "good_frames" in loaded and count:
            # In the file they number its frames, and in the container those that were loaded.
            loaded["good_frames"] = np.flatnonzero(np.isin(frames, loaded["good_frames"]))
        new = self.replace(frames=frames, **loaded)
        for attr, value in loaded.items():
            if not store.protocol.attribute(attr).has_pixels:
                new._as_loaded[attr] = value
        return new

    def save(
        self,
        attributes: str | Iterable[str] | None = None,
        apply_transform: bool = False,
        mode: SaveMode = "append",
        idxs: FrameSelection = None,
        compression: str | Mapping[str, Any] | None = None,
        *,
        fill_value: Any = None,
    ) -> None:
        """Save attributes to the output file, all in one commit: all of them appear, or none.

        Of stacks and sequences the good frames are saved. After the save, the file has as many of
        each attribute as it has frames of `data`, as these belong together by their numbers. Only
        frames of `data` may be saved before what belongs to them; until that has followed, it is
        not loaded by frame numbers. `good_frames` are refused where the file numbers the frames in
        another way.

        Scalars and sequences are converted to the unit that the output's protocol, or else the
        dataset that is there, states. They are in the unit that the input's protocol states for
        them. Where it states none, loaded values are in the unit of their dataset, or in CXI's
        where that states none either; values that were given are in the output's unit. A value that
        was given in place of a loaded one is refused if the output keeps it in another unit than
        the one that was loaded.

        Parameters
        ----------
        attributes : str or list of str, optional
            What is saved. When None, all that was loaded, given or updated but `good_frames`: the
            frames that are saved are the good ones. Stacks that are computed are so in blocks.
        apply_transform : bool
            Put frames and stacks back to their places in whole frames. Of frames that are in the
            output file all other pixels stay as they are; of new ones they are `fill_value`.
        mode : {"append", "overwrite", "insert"}
            What becomes of frames that are in the file; see :meth:`CXIStore.save_attribute`.
        idxs : sequence of int, optional
            Where each frame goes, with "insert".
        compression : str or mapping, optional
            How arrays are compressed; see :meth:`CXIStore.save_attribute`.
        fill_value : scalar, optional
            With `apply_transform`, the pixels of new frames outside of the region. When None, 0 for
            integers, `data` and whitefields, NaN for other floats. A mask is bad there in any case.

        Raises
        ------
        ValueError
            There is no output file, or an attribute that is named has no value or no place there.
        LayoutError
            There would be more or fewer frames of an attribute than of `data`; a unit cannot become
            that of the output, or datasets state different ones; the output cannot hold a value.
        NotImplementedError
            The transform bins: the pixels of a bin cannot be put back. Or, with `apply_transform`,
            a stack that is computed would overwrite what is there.
        """
        output: CXIStore | None = self.output_file
        if output is None:
            raise ValueError("the container has no output file: give it one, update_output_file()")
        if fill_value is not None and not apply_transform:
            raise ValueError("fill_value= is used with apply_transform=True only")
        given = [attr for attr, value in self._values.items() if value is not None]
        names = self._names(attributes, [attr for attr in given if attr != "good_frames"])
        by_region: dict[str, Any] = {}
        if apply_transform and self.transform is not None:
            with opened(self.input_file) as source:
                by_region = {"frame_shape": source.read_shape(), "fill_value": fill_value}
            by_region["transform"] = self.transform
        with opened(output):
            output.update_indices()  # others may have saved to it
            with output.transaction() as transaction:
                changed = transaction.changed
                used = {*names, "data", "good_frames", "frames"}
                values = {attr: self[attr] for attr in self.contents() if attr in used}
                sent = Outgoing(self.input_file, output, values, self._as_loaded, mode, changed)
                stacks = sent.stacks(names, is_named=attributes is not None)
                options: dict[str, Any] = {"compression": compression}
                requests = [
                    SaveRequest(
                        output.protocol.attribute(attr),
                        array,
                        mode,
                        idxs,
                        unit=sent.unit(attr),
                        **options | (by_region if sent.has_pixels(attr) else {}),
                    )
                    for attr, array in stacks.items()
                    if isinstance(array, np.ndarray)
                ]
                output.save_together(requests)
                for attr, stack in stacks.items():
                    if isinstance(stack, ComputedStack):
                        sent.save_in_blocks(attr, stack, idxs, **options | by_region)


def _transformed(attribute: Attribute, value: Any, transform: Transform | None) -> NDArray[Any]:
    array = np.asarray(value)
    for step in fold(transform, array.shape[-2:], sums=attribute.sums_bins):
        array = step.apply(array)
    return array
