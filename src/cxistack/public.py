"""The public names, all imported; :mod:`cxistack` imports them when the first is asked for."""

from . import kernels
from .build import build_info, get_include
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
from .streaming.batch import Batch, Hits
from .streaming.stream import FrameStream
from .transforms.base import Transform
from .transforms.transforms import ComposeTransforms, Crop, Downscale, Mirror

__all__ = [
    "AttributeMissingError",
    "Batch",
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
    "FrameStream",
    "FrameWriter",
    "Hits",
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
    "build_info",
    "convert",
    "discover",
    "get_include",
    "kernels",
    "read",
]
