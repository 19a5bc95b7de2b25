"""CXIStore: the files of a run under a protocol; attributes by name, from all files as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, TypeVar, Unpack, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ..catalogue.detectors import Chosen
from ..catalogue.frames import FrameSelection
from ..hdf5.links import LinkPolicy
from ..hdf5.names import Given, Name, Names
from ..hdf5.opening import files_of
from ..hdf5.patience import awaited
from ..hdf5.remote.urls import is_url
from ..kernels import Casting
from ..loading.request import LoadWords, PixelWords
from ..protocol.chosen import ProtocolName, protocol_of
from ..protocol.protocol import CXIProtocol
from ..saving.commit.lock import Locking
from ..saving.commit.transaction import Transaction
from ..saving.modes import check_words
from ..saving.request import SaveMode, SaveRequest
from ..saving.session import SaveSession
from ..transforms.transforms import TransformLike, transform_of
from .contents import one_of_two
from .doors import Doors
from .kept import KeptLoads
from .live import Live
from .streams import Streams
from .writer import FrameWriter, writing

__all__ = ["CXIStore"]

Pixel = TypeVar("Pixel", bound=np.generic)
FileMode = Literal["r", "r+", "w", "w-", "x", "a"]


class CXIStore(Streams, Live, Doors):
    """The files of a run: finds the protocol's attributes in them, loads and saves them by name.

    Parameters
    ----------
    names : str, path, or sequence of them
        A file, a list of files, or a glob. Frames count in this order; a glob's in natural order.
        ``~`` is the user's home folder. Saves go to the first file. Files on a server are named by
        ``https://host/run_1.cxi`` or ``s3://bucket/run_1.cxi``, and only read (mode "r").
    mode : {"r", "r+", "w", "w-", "x", "a"}
        How the first file is opened; the others open for reading.

        * "r": it must exist, and is not written.
        * "r+": it must exist.
        * "w": it is replaced at the first save; until then it stands as it is. What somebody saves
          to it between the opening and that save is not replaced: the save is refused.
        * "w-" or "x": it must not exist, and appears at the first save.
        * "a": it is created when it does not exist.
    protocol : CXIProtocol, str or path, optional
        What is looked for, and where: a protocol, the name of a built-in one ("cxi", "nxmx"; see
        :meth:`CXIProtocol.names`), or an INI file. The default protocol when None.
    links : {"follow", "tree"}
        Links to other HDF5 files are followed wherever they lead, or only to files in or below the
        given files' folders.
    safe : bool
        Save by changing a copy of the file, which then takes its name: whatever happens meanwhile,
        the file is what it was or what it is to be. False changes the file in place, without the
        time and the room that a copy takes, and keeps hard links and owners. A kill, a power cut, a
        full or failing disk during a save may then lose the whole file, also what the save does not
        touch; readers must have closed it; a transaction groups nothing. New files are always safe.
    locking : {True, "best-effort"}
        Locks (flock; between machines, up to the file system) keep other programs from saving
        meanwhile. Where there are none, True refuses to save, "best-effort" relies on nobody else.
    timeout : float or None
        Seconds that a save waits while somebody else saves to the file; None waits without end.
    detector, channel : str, optional
        Name of the detector's group, and of its channel, where a file has several. When None, the
        detector is the one whose frames `data` are.
    chunk_cache : int
        Bytes of decoded chunks that are kept where a load took only some of their frames or pixels.
    swmr : bool
        Read files while an SWMR writer appends to them, in mode "r". What was appended is seen by
        :meth:`refresh`, and by :meth:`follow`.
    wait : float
        Seconds for which a file is tried again that is not there yet, that is still written or
        copied, or that its writer has locked.
    remote : mapping, optional
        How servers are asked: "timeout" (30 s without an answer), "retries" (5), "requests" (32).
    index : str or path, optional
        A file that ``cxistack index`` made of these files: they are opened without reading in them.

    Raises
    ------
    FileNotFoundError, FileExistsError
        As `mode` says.
    ProtocolError
        There is no built-in protocol and no INI file of this name, or the file describes none.

    Notes
    -----
    A store is a mapping from attribute names to arrays that are read when they are indexed. It is
    open when made, and ``bool(store)`` tells whether it still is. Files open as they are needed.

    Examples
    --------
    >>> store = CXIStore(example_run)
    >>> store["data"].shape, store["data"].dtype
    ((6, 16, 20), dtype('uint16'))
    >>> store["data"][0, :2, :3]
    array([[100, 101, 102],
           [120, 121, 122]], dtype=uint16)
    """

    def __init__(
        self,
        names: Names,
        mode: FileMode = "r",
        protocol: ProtocolName | None = None,
        *,
        links: LinkPolicy = "follow",
        safe: bool = True,
        locking: Locking = True,
        timeout: float | None = 0,
        detector: str | None = None,
        channel: str | None = None,
        chunk_cache: int = 64 << 20,
        swmr: bool = False,
        wait: float = 0,
        remote: Mapping[str, float] | None = None,
        index: Name | None = None,
    ) -> None:
        check_words(mode, links, locking, swmr, wait)
        self.protocol = protocol_of(protocol)
        self.mode: FileMode = mode
        self.links: LinkPolicy = links
        self.detector, self.channel = detector, channel
        self._kept = KeptLoads(chunk_cache)
        self._remote: dict[str, Any] = {"remote": remote, "index": index}
        self._given = Given(names, may_be_new=mode not in ("r", "r+"))
        chosen = Chosen(detector, channel)

        def opened() -> SaveSession:
            words: tuple[Any, ...] = (mode, self.protocol, links, safe, locking, chosen, timeout)
            return SaveSession(files_of(self._given, swmr, wait, **self._remote), *words)

        self._session = awaited(opened, wait)

    def _part(self, paths: Sequence[str], protocol: CXIProtocol | None = None) -> CXIStore:
        names = [self._given.secrets.get(path, path) for path in paths]
        how: dict[str, Any] = self._remote if any(map(is_url, names)) else {}
        how = {**how, "detector": self.detector, "channel": self.channel, "links": self.links}
        return CXIStore(names, "r", protocol or self.protocol, swmr=self._files.swmr, **how)

    @overload
    def load_attribute(
        self,
        attr: str,
        idxs: FrameSelection = None,
        *,
        out: NDArray[Pixel],
        **words: Unpack[LoadWords],
    ) -> NDArray[Pixel]: ...
    @overload
    def load_attribute(
        self,
        attr: str,
        idxs: FrameSelection = None,
        *,
        dtype: type[Pixel] | np.dtype[Pixel],
        **words: Unpack[LoadWords],
    ) -> NDArray[Pixel]: ...
    @overload
    def load_attribute(
        self,
        attr: str,
        idxs: FrameSelection = None,
        processes: int | None = None,
        ss_idxs: Any = ...,
        fs_idxs: Any = ...,
        verbose: bool = True,
        *,
        dtype: DTypeLike | None = None,
        out: None = None,
        **words: Unpack[PixelWords],
    ) -> Any: ...
    def load_attribute(
        self,
        attr: str,
        idxs: FrameSelection = None,
        processes: int | None = None,
        ss_idxs: Any = slice(None),
        fs_idxs: Any = slice(None),
        verbose: bool = True,
        *,
        transform: TransformLike = None,
        dtype: DTypeLike | None = None,
        casting: Casting = "checked",
        out: NDArray[Any] | None = None,
        source: int | str | None = None,
        num_threads: int | None = None,
        raw: bool = False,
        masked: Literal["nan"] | complex | None = None,
    ) -> Any:
        """Load an attribute from all files as one array.

        Parameters
        ----------
        attr : str
            The attribute's name.
        idxs : None, int, slice, sequence or array of int, or boolean mask
            Frames of a stack or rows of a sequence, numbered through all files as the frames of
            `data` are; in any order, repeated or negative as in NumPy. All when None. An int keeps
            the frame axis.
        processes, num_threads : int, optional
            How many threads work; two names of one thing. Every core of this process when None.
        ss_idxs, fs_idxs : index
            Pixels of frames and stacks: what ``frame[..., ss_idxs, fs_idxs]`` means in NumPy.
        verbose : bool
            Show a progress bar while frames are loaded.
        transform : Transform or list of them, optional
            What is done to frames, instead of `ss_idxs` and `fs_idxs`.
        dtype : dtype, optional
            Type of the result. When None, a type of the protocol's family is kept, int and uint
            change into one another at the same width, integers become float64 under float, and
            float to int or uint raises.
        casting : {"checked", "unsafe"}
            "checked" raises where a value would change (but for rounding to a float); "unsafe"
            casts as NumPy does.
        out : ndarray, optional
            Where the result goes. Its dtype counts as `dtype`. Undefined when this raises.
        source : int or str, optional
            The file (number or name) that a scalar or a frame comes from; the first that has it
            when None.
        raw : bool
            Load a mask as it is stored: its bits, not whether pixels are good.
        masked : "nan" or number, optional
            What pixels become that the mask says are bad; what they had need not fit `dtype`. NaN
            is for floats only.

        Returns
        -------
        ndarray or scalar
            A stack is (frames, ..., ss, fs), a sequence (frames, ...), a frame (..., ss, fs), a
            scalar as it is stored. One 2-D dataset that stands for all frames comes back as a
            read-only broadcast. Masks are True for a good pixel.

        Raises
        ------
        AttributeMissingError
            The protocol does not know it, or no file has it.
        LayoutError, LinkError, StorageError
            What is there does not fit, leads nowhere, or cannot be read.
        FileChangedError
            Somebody goes on writing to a file while it is read.
        FrameIndexError
            An index is out of bounds.
        CastError
            A value does not fit, or the stored type has no default in the protocol's family.
        ValueError
            Arguments do not fit one another, or `raw` is asked of what is no mask.

        Examples
        --------
        >>> store = CXIStore(example_run)
        >>> store.load_attribute("data", idxs=[-1, 0], transform=Crop([0, 1, 0, 2]))
        array([[[600, 601]],
        <BLANKLINE>
               [[100, 101]]], dtype=uint16)
        """
        self._check_open()
        return self._read(
            attr,
            idxs,
            out,
            masked=masked,
            num_threads=one_of_two(processes, num_threads),
            verbose=verbose,
            ss_idxs=ss_idxs,
            fs_idxs=fs_idxs,
            transform=transform,
            dtype=out.dtype if dtype is None and isinstance(out, np.ndarray) else dtype,
            casting=casting,
            source=source,
            raw=raw,
        )

    def save_attribute(
        self,
        attr: str,
        data: ArrayLike,
        mode: SaveMode = "overwrite",
        idxs: FrameSelection = None,
        *,
        casting: Casting = "checked",
        compression: str | Mapping[str, Any] | None = None,
        chunks: Sequence[int] | None = None,
        num_threads: int | None = None,
        transform: TransformLike = None,
        frame_shape: tuple[int, int] | None = None,
        fill_value: Any = None,
        raw: bool = False,
        unit: str | None = None,
    ) -> None:
        """Save an attribute to the first file, where it was found or at the protocol's first path.

        An energy that was made of a wavelength, or the other way round, goes to the first path of
        its own. The two must agree when a save or a :meth:`transaction` ends.

        The object's names, links, HDF5 attributes, filters and stored type survive. The file is
        changed in a copy that takes its name when all is written: until then, and after any error,
        the old file stands. Inside a :meth:`transaction` that happens once at its end.

        A file that this makes is a CXI 1.6 file: what CXI has a name for is found by it too. It
        says, once a run of the program, which program saved to it, by which command, and when.

        Parameters
        ----------
        attr : str
            The attribute's name.
        data : array_like
            The values, of the attribute's kind.
        mode : {"overwrite", "append", "insert"}
            For stacks and sequences: replace all frames, add frames at the end, or put frames in
            at `idxs`. Scalars and frames are always replaced.
        idxs : sequence of int, optional
            Where each frame of `data` goes, with "insert"; an error with another mode. In a run of
            several files, numbers of the first file's frames.
        casting : {"checked", "unsafe"}
            Whether a value that does not fit the stored type is refused.
        compression : str or mapping, optional
            "bitshuffle" (with LZ4), "bitshuffle-zstd", "zstd", "deflate" (or "gzip"), "lz4" (these
            three after HDF5's byte shuffle), or "none"; with a level after a colon where there are
            levels: "deflate:6". Or h5py's keywords, or a filter of hdf5plugin. When None, a dataset
            that is there keeps its filters, and of new ones stacks are bitshuffled. Scalars and
            text are never compressed.
        chunks : sequence of int, optional
            Shape of a chunk. When None, a dataset that is there keeps its chunks, and a new stack
            has one a frame; small frames share one.
        num_threads : int, optional
            How many threads compress; None is all cores.
        transform : Transform or list of them, optional
            What made `data` of whole frames: its pixels go back to their places. Of frames that are
            there all other pixels stay as they are; of new ones they are `fill_value`.
        frame_shape : tuple of int, optional
            Shape (slow, fast) of whole frames, for `transform`; that of the frames that are there
            when None.
        fill_value : scalar, optional
            With `transform`, what is outside where there is nothing yet. When None, 0 for integers,
            `data` and whitefields, NaN for other floats. A mask is bad there in any case.
        raw : bool
            Save a mask that is a bit field as its bits are, not where pixels are good.
        unit : str, optional
            Unit that `data` is in; the values are converted to what the protocol, or else the
            dataset that is there, states. When None, they are in the protocol's unit, or, where it
            states none, as the dataset has them.

        Raises
        ------
        NotImplementedError
            `transform` bins: the pixels of a bin are lost.
        ReadOnlyStoreError
            The store's mode is "r".
        AttributeMissingError, LayoutError, FrameIndexError, CastError
            It cannot be saved so; the file is as it was.
        FileInUseError
            Somebody else writes to the file, and is named as far as that can be known.
        FileChangedError
            Somebody else changed it during this save, or since a store of mode "w" was opened.
        StorageError
            The system failed or refused: a full disk, for one. The file is as it was.
        """
        self._check_open()
        self._session.save(
            SaveRequest(
                self.protocol.attribute(attr),
                data,
                mode,
                idxs,
                casting,
                compression,
                chunks,
                num_threads,
                transform_of(transform),
                frame_shape,
                fill_value,
                raw,
                unit,
            )
        )

    def save_together(self, requests: Sequence[SaveRequest]) -> None:
        """Save several attributes by one commit, of which none may be without the others."""
        self._check_open()
        self._session.save_together(requests)

    def writer(
        self,
        attr: str,
        shape: Sequence[int] | None = None,
        dtype: DTypeLike | None = None,
        mode: Literal["overwrite", "append"] = "overwrite",
        *,
        casting: Casting = "checked",
        compression: str | Mapping[str, Any] | None = None,
        chunks: Sequence[int] | None = None,
        num_threads: int | None = None,
        raw: bool = False,
    ) -> AbstractContextManager[FrameWriter]:
        """Give a writer that takes the frames of an attribute, one or many at a time.

        Memory holds 16 MiB of frames, or a chunk of them where that is larger. What was appended is
        in the file, by one commit, when the block ends well or at `flush()`; what was not flushed
        is not when the block ends by an error. Saves of other attributes belong to the same commit.

        Parameters
        ----------
        attr : str
            A stack or a sequence.
        shape : sequence of int, optional
            Shape of one frame (or row); that of the first ones when None.
        dtype : dtype, optional
            Type to cast the frames to; that of the first ones when None.
        mode : {"overwrite", "append"}
            Whether the frames replace those that are there, or come after them.
        casting, compression, chunks, num_threads, raw
            As in :meth:`save_attribute`.

        Examples
        --------
        >>> store = CXIStore("new.cxi", "w")
        >>> with store.writer("data", shape=(4, 6), dtype="uint16") as writer:
        ...     for number in range(10):
        ...         writer.append(np.full((4, 6), number))
        >>> store["data"].shape
        (10, 4, 6)
        """
        self._check_open()
        wanted, how = self.protocol.attribute(attr), (casting, compression, chunks, num_threads)
        request = SaveRequest(wanted, (), mode, None, *how, raw=raw)
        return writing(self._session, request, shape, dtype)

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Group saves into one commit: all of them appear in the file, or none does.

        Loads within the block see the file as it was. Other threads' saves wait. A save that fails
        fails the block, also when its error is caught. With ``safe=False`` each save stays at once:
        it must go with what is there (`data` first), and a writer's frames when its block ends.
        """
        return self._session.transaction()
