"""What is found: times, ratios and figures, each with what it must show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["OURS", "Figure", "Kind", "Ratio", "Result", "Timing"]

OURS = "cxistack"
Kind = Literal["peer", "limit", "threads", "bound"]


@dataclass(frozen=True)
class Timing:
    """The least time of one way."""

    stored: str
    case: str
    way: str
    seconds: float
    runs: int
    gb_per_s: float | None = None

    def as_record(self) -> dict[str, Any]:
        """Return it for a program to read."""
        extra = {"runs": self.runs, "gb_per_s": self.gb_per_s}
        return _record(self, self.way, self.seconds, "s") | extra


@dataclass(frozen=True)
class Ratio:
    """How many times faster than another way ours is, or how far below a bound; more is better."""

    stored: str
    case: str
    against: str
    value: float
    must: float | None = None
    goal: float | None = None
    kind: Kind = "peer"
    note: str = ""

    @property
    def verdict(self) -> str:
        """Whether it shows what it must."""
        if self.goal is not None and self.value >= self.goal:
            return "goal"
        if self.must is None:
            return "" if self.goal is None else "below goal"
        return "must" if self.value >= self.must else "MISSED"

    @property
    def held(self) -> bool | None:
        """Whether its must is held; None where it has none."""
        return None if self.must is None else self.verdict != "MISSED"

    def as_record(self) -> dict[str, Any]:
        """Return it for a program to read."""
        extra = {"kind": self.kind, "goal": self.goal, "verdict": self.verdict, "note": self.note}
        return (
            _record(self, f"against {self.against}", self.value, "x", self.must, self.held) | extra
        )


@dataclass(frozen=True)
class Figure:
    """Any other number, with its unit; `most` is the largest that it may be: less is better."""

    stored: str
    case: str
    what: str
    value: float
    unit: str
    most: float | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """Whether it shows what it must."""
        return {None: "", True: "must", False: "MISSED"}[self.held]

    @property
    def held(self) -> bool | None:
        """Whether it is no more than it may be; None where it may be anything."""
        return None if self.most is None else self.value <= self.most

    def as_record(self) -> dict[str, Any]:
        """Return it for a program to read."""
        record = _record(self, self.what, self.value, self.unit, self.most, self.held)
        return record | {"note": self.note}


Result = Timing | Ratio | Figure


def _record(
    result: Result,
    what: str,
    figure: float,
    unit: str,
    target: float | None = None,
    held: bool | None = None,
) -> dict[str, Any]:
    named = [name for name in (result.stored, result.case) if name != "-"]
    return {
        "what": f"{', '.join(named)}: {what}",
        "figure": figure,
        "unit": unit,
        "target": target,
        "held": held,
    }
