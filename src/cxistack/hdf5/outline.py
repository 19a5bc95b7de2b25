"""Where files have what is looked for: asked once for each group, and decided once for like files.

A file is asked for the links of one group after the other. What groups have decides which is asked
next, and in the end what the file has. Files that answer alike are asked alike, so nothing is
decided anew for them; one that answers otherwise is told from them by that very answer.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeAlias, TypeVar

import h5py

from .messages import DAMAGE, is_failed_read

__all__ = ["Has", "Outlines", "plain_path"]

_Decision = TypeVar("_Decision")
#: Tells of a path whether hard links alone lead to something, or there is nothing. It is unsure
#: where a link of another kind is on the way, or damage: then it must be walked.
Has: TypeAlias = Callable[[str], Literal["there", "absent", "unsure"]]

_Answer: TypeAlias = (
    tuple[tuple[bytes, bool], ...] | None
)  # names, and whether their links are hard


@dataclass(eq=False)
class _Group:
    """A group that may be on the way to a path."""

    path: str
    name: bytes  # the path as HDF5 takes it
    below: dict[bytes, _Group] = field(default_factory=dict)


@dataclass(eq=False)
class _State(Generic[_Decision]):
    """What is known of files after some answers."""

    answers: Mapping[_Group, _Answer]
    ask: _Group | None = None  # the next one
    decision: _Decision | None = None  # where there is nothing to ask
    then: dict[_Answer, _State[_Decision]] = field(default_factory=dict)


class _Unasked(Exception):
    def __init__(self, group: _Group) -> None:
        self.group = group


class Outlines(Generic[_Decision]):
    """Decides what files have at some paths.

    Parameters
    ----------
    paths : iterable of str
        The paths that may be asked for.
    decide : callable
        Makes the decision of what it is told of paths; the same whenever it is told the same.
    """

    def __init__(self, paths: Iterable[str], decide: Callable[[Has], _Decision]) -> None:
        self._decide = decide
        self._root = _Group("/", b".")
        for path in paths:
            node = self._root
            for piece in _pieces(path):
                inner = f"{node.path.rstrip('/')}/{piece}"
                name = os.fsencode(piece)
                node = node.below.setdefault(name, _Group(inner, os.fsencode(inner)))
        self._start = self._state({})

    def of(self, file: Any) -> tuple[_Decision, Mapping[str, int], Exception | None]:
        """Return the decision on an open file (a FileID), and the addresses of what was met.

        And which read failed, if one did: nothing is sure of its group then.
        """
        addresses: dict[str, int] = {}
        failure: Exception | None = None
        state = self._start
        while state.ask is not None:
            try:
                answer = _answer(file, state.ask, addresses)
            except DAMAGE as error:
                answer = None
                failure = error if is_failed_read(error) else failure
            if answer not in state.then:
                state.then[answer] = self._state({**state.answers, state.ask: answer})
            state = state.then[answer]
        assert state.decision is not None
        return state.decision, addresses, failure

    def _state(self, answers: Mapping[_Group, _Answer]) -> _State[_Decision]:
        def has(path: str) -> Literal["there", "absent", "unsure"]:
            node = self._root
            for piece in _pieces(path):
                if node not in answers:
                    raise _Unasked(node)
                answer = answers[node]
                if answer is None:
                    return "unsure"
                name = os.fsencode(piece)
                is_hard = dict(answer).get(name)
                if not is_hard:
                    return "absent" if is_hard is None else "unsure"
                node = node.below[name]
            return "there"

        try:
            return _State(answers, decision=self._decide(has))
        except _Unasked as unasked:
            return _State(answers, ask=unasked.group)


def plain_path(path: str) -> str:
    """Return a path as it is walked: from the root, with no more than its names."""
    return "/" + "/".join(_pieces(path))


def _pieces(path: str) -> list[str]:
    return [piece for piece in path.split("/") if piece not in ("", ".")]


def _answer(file: Any, group: _Group, addresses: dict[str, int]) -> _Answer:
    """Return which of the names that matter a group has."""
    try:
        links = _links(file, group)
    except DAMAGE:
        if _is_no_group(file, group):
            return ()
        raise
    answer = []
    for name, inner in group.below.items():
        if name in links:
            kind, addresses[inner.path] = links[name]
            answer.append((name, kind == h5py.h5l.TYPE_HARD))
    return tuple(answer)


def _links(file: Any, group: _Group) -> dict[bytes, tuple[int, int]]:
    """Return the kinds of the links in a group, and the addresses to which hard ones lead."""
    # Name by name, and not by HDF5's iteration: its callback is no place for an interrupt.
    links = file.links
    found = {}
    for name, inner in group.below.items():
        if links.exists(inner.name):
            info = links.get_info(inner.name)
            found[name] = info.type, info.u
    return found


def _is_no_group(file: Any, group: _Group) -> bool:
    """Tell whether something else is there: nothing lies below a dataset."""
    try:
        return not isinstance(h5py.h5o.open(file, group.name), h5py.h5g.GroupID)
    except DAMAGE:
        return False
