"""What a user may say of how a server is asked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

__all__ = ["RemoteWords", "words_of"]


@dataclass(frozen=True)
class RemoteWords:
    """How a server is asked.

    Attributes
    ----------
    timeout : float
        Seconds in which a connection must come, and each next piece of an answer.
    retries : int
        How often a request is made again that failed: no connection, a broken or stalled one, and
        the statuses 429 and 5xx. The pause doubles from 0.1 s to 15 s.
    requests : int
        How many are under way at a time.
    """

    timeout: float = 30.0
    retries: int = 5
    requests: int = 32


def words_of(given: Mapping[str, float] | None) -> RemoteWords:
    """Return what a user said, checked.

    Raises
    ------
    ValueError
        A word is not known, or a number makes no sense.
    """
    given = {} if given is None else dict(given)
    known = [one.name for one in fields(RemoteWords)]
    for name, value in given.items():
        if name not in known:
            raise ValueError(f"remote= has the words {', '.join(known)}, not {name!r}")
        least = 0 if name == "retries" else 1e-3 if name == "timeout" else 1
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not least <= value < math.inf:
            raise ValueError(f"remote={{{name!r}: ...}} must be a number from {least:g} on")
        if name != "timeout" and value != int(value):
            raise ValueError(f"remote={{{name!r}: ...}} must be a whole number, not {value!r}")
    return RemoteWords(
        float(given.get("timeout", RemoteWords.timeout)),
        int(given.get("retries", RemoteWords.retries)),
        int(given.get("requests", RemoteWords.requests)),
    )
