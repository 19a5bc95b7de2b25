"""What a check is asked to do."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CheckRequest"]


@dataclass(frozen=True)
class CheckRequest:
    """What a check is asked to do; see :meth:`cxistack.CXIStore.check`."""

    attributes: tuple[str, ...]  # of those that are found
    are_required: bool  # whether each was asked for by name: it is wrong if it is not there
    num_threads: int | None
    verbose: bool
    conformance: bool = False
