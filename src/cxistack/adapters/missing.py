"""What is said where a library is missing that is asked for."""

from __future__ import annotations

__all__ = ["missing"]


def missing(library: str, what: str) -> ModuleNotFoundError:
    """Return the error that says how to install a library, which is also our extra's name.

    Examples
    --------
    >>> missing("xarray", "Datasets")
    ModuleNotFoundError("Datasets need xarray: pip install 'cxistack[xarray]'")
    """
    return ModuleNotFoundError(
        f"{what} need {library}: pip install 'cxistack[{library}]'", name=library
    )
