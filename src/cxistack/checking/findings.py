"""What is wrong with the files of a run: how grave it is, where it is, and a sentence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import Any, Literal

__all__ = ["Finding", "Problem", "folded"]


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with the files of a run.

    ``cxistack.Problem`` is another name of it.

    Attributes
    ----------
    check : {"", "there", "agrees", "decodes", "conforms"}
        Which check found it: that all is there and fits the protocol, that files agree, that chunks
        decode, that files are CXI 1.6. Empty in a store's ``problems``.
    attribute : str
        The attribute; empty where a whole file is concerned.
    filename : str
        The file; of a chunk, the one in which it lies.
    cause : str
        What is wrong, as a sentence.
    dataset : str
        Path of the dataset; empty where none is concerned.
    frames : tuple of int or None
        The first and the last frame concerned, numbered as the store's are.
    rows : tuple of int or None
        The first and the last row of the dataset.
    chunk : tuple of int or None
        Index of the chunk's first element in the dataset.
    is_warning : bool
        Whether it is against a format's advice only.
    rule : str
        The rule of CXI 1.6 that a file does not keep; empty for all other findings.
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
    rule: str = ""

    @property
    def message(self) -> str:
        """The same as `cause`."""
        return self.cause

    @property
    def severity(self) -> Literal["error", "warning"]:
        """How grave it is."""
        return "warning" if self.is_warning else "error"

    def __str__(self) -> str:
        if not self.check:
            return f"{self.attribute or self.filename}: {self.cause}"
        where = [f"{self.filename}:{self.dataset}" if self.dataset else self.filename]
        if self.frames is not None:
            where.append(_span("frame", self.frames))
        elif self.rows is not None:
            where.append(_span("row", self.rows))
        if self.chunk is not None:
            where.append(f"chunk at {self.chunk}")
        about = "warning: " * self.is_warning + (f"{self.attribute}: " if self.attribute else "")
        return " ".join(f"{', '.join(where)}: {about}{self.cause}".split("\n"))

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON: the names above but `rule`, tuples as lists."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
            if name != "rule"
        }


#: What a store tells of its files unasked.
Problem = Finding


def folded(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Return findings with those together that are alike but for the file that they name."""
    alike: dict[tuple[object, ...], list[Finding]] = {}
    for one in findings:
        key = (one.check, one.attribute, one.dataset, one.rows, one.chunk, one.is_warning, one.rule)
        alike.setdefault((*key, _without_file(one)), []).append(one)
    return list(alike.values())


def _without_file(one: Finding) -> str:
    """Return a cause without the name of its file, which may be given in it with its folder."""
    if not one.filename:
        return one.cause
    name = re.escape(PurePath(one.filename).name)
    return re.sub(rf"\S*{name}(?=[:,; ]|$)", "\0", one.cause)


def _span(what: str, numbers: tuple[int, int]) -> str:
    first, last = numbers
    return f"{what} {first}" if first == last else f"{what}s {first} to {last}"
