"""The way between CXI/HDF5 files of detector frames and NumPy arrays.

A protocol says where attributes (``data``, ``mask``, ``whitefield``, ...) may be stored and what
they are; a store finds them in the files of a run and gives each from all files as one array; a
container holds what was loaded, and saves results.
"""

from importlib.metadata import version

from . import kernels
from .build import build_info
from .checking.findings import Finding, Problem
from .container.stdata import STData
from .converting.convert import Conversion, convert
from .discovery.discover import Discovery, discover
from .errors import (
    AttributeMissingError,
    CastError,
    ClosedStoreError,
    CXIError,
    FileChangedError,
    FileInUseError,
    FrameIndexError,
    LayoutError,
    LinkError,
    Offence,
    ProtocolError,
    ReadOnlyStoreError,
    StorageError,
)
from .protocol.protocol import CXIProtocol
from .store.lazy import LazyArray
from .store.reader import Reader, read
from .store.store import CXIStore
from .store.writer import FrameWriter
from .transforms.base import Transform
from .transforms.transforms import ComposeTransforms, Crop, Downscale, Mirror

__all__ = [
    "AttributeMissingError",
    "CXIError",
    "CXIProtocol",
    "CXIStore",
    "CastError",
    "ClosedStoreError",
    "ComposeTransforms",
    "Conversion",
    "Crop",
    "Discovery",
    "Downscale",
    "FileChangedError",
    "FileInUseError",
    "Finding",
    "FrameIndexError",
    "FrameWriter",
    "LayoutError",
    "LazyArray",
    "LinkError",
    "Mirror",
    "Offence",
    "Problem",
    "ProtocolError",
    "ReadOnlyStoreError",
    "Reader",
    "STData",
    "StorageError",
    "Transform",
    "__version__",
    "build_info",
    "convert",
    "discover",
    "kernels",
    "read",
]

__version__ = version("cxistack")


def __dir__() -> list[str]:
    return __all__
