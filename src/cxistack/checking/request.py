"""What a check is asked to do."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CheckRequest"]


@dataclass(frozen=True)
class CheckRequest:
    """What a check is asked to do.

    Attributes
    ----------
    attributes : tuple of str
        Which attributes are checked, of those that are found.
    are_required : bool
        Whether each of them was asked for by name, so that it is wrong if it is not there.
    num_threads : int or None
        How many threads decode.
    verbose : bool
        Whether a progress bar is shown.
    conformance : bool
        Whether files that say they are CXI are held against CXI 1.6.
    """

    attributes: tuple[str, ...]
    are_required: bool
    num_threads: int | None
    verbose: bool
    conformance: bool = False
