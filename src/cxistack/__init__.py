"""The way between CXI/HDF5 files of detector frames and NumPy arrays.

A protocol says where attributes (``data``, ``mask``, ``whitefield``, ...) may be stored and what
they are; a store finds them in the files of a run and gives each from all files as one array; a
container holds what was loaded, and saves results.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .public import *  # noqa: F403

__version__: str


def __getattr__(name: str) -> Any:
    """Import the public names when the first is asked for: numpy and HDF5 take their time."""
    if name == "__version__":
        from importlib.metadata import version

        return version("cxistack")
    if name == "kernels":  # which rooms import so: what they are imported by must not begin here
        return import_module(".kernels", __name__)
    if name.startswith("__") and name != "__all__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    public = import_module(".public", __name__)
    names = {one: getattr(public, one) for one in public.__all__}
    globals().update(names, __all__=sorted([*names, "__version__"]))
    if name not in globals():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals()[name]


def __dir__() -> list[str]:
    return list(__getattr__("__all__"))
