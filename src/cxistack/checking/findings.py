"""What a check finds, and what it is told to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Finding", "Work"]


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a run.

    Attributes
    ----------
    check : {"there", "agrees", "decodes", "conforms"}
        What was checked: that all is there and fits the protocol, that files agree, that chunks
        decode, that files are CXI 1.6.
    attribute : str
        The attribute; empty where a whole file is concerned.
    filename : str
        The file, of a chunk that in which it lies.
    dataset : str
        Path of the dataset; empty where none is concerned.
    frames : tuple of int or None
        The first and the last frame concerned, numbered as the store's are.
    rows : tuple of int or None
        The first and the last row of the dataset.
    chunk : tuple of int or None
        Index of the chunk's first element in the dataset.
    cause : str
        What is wrong, as a sentence.
    is_warning : bool
        Whether it is against a format's advice only.
    """

    check: str
    attribute: str
    filename: str
    cause: str
    dataset: str = ""
    frames: tuple[int, int] | None = None
    rows: tuple[int, int] | None = None
    chunk: tuple[int, ...] | None = None
    is_warning: bool = False

    def __str__(self) -> str:
        where = [f"{self.filename}:{self.dataset}" if self.dataset else self.filename]
        if self.frames is not None:
            where.append(_span("frame", self.frames))
        elif self.rows is not None:
            where.append(_span("row", self.rows))
        if self.chunk is not None:
            where.append(f"chunk at {self.chunk}")
        about = f"{self.attribute}: " if self.attribute else "warning: " * self.is_warning
        return " ".join(f"{', '.join(where)}: {about}{self.cause}".split("\n"))

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON: what is said above by the same names, tuples as lists."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }


def _span(what: str, numbers: tuple[int, int]) -> str:
    first, last = numbers
    return f"{what} {first}" if first == last else f"{what}s {first} to {last}"


@dataclass(frozen=True)
class Work:
    """What a check is to do.

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
