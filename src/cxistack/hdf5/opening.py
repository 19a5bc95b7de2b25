"""From the names that a user gives to the files of a run, here or on servers."""

from __future__ import annotations

import os
from collections.abc import Mapping

from .files import Files
from .names import Given
from .remote.urls import is_url
from .remote.words import words_of

__all__ = ["files_of"]


def files_of(
    given: Given,
    swmr: bool = False,
    wait: float = 0,
    remote: Mapping[str, float] | None = None,
    index: str | os.PathLike[str] | None = None,
) -> Files:
    """Return the files that names mean; the other arguments are those of ``CXIStore``.

    Raises
    ------
    ValueError
        Words do not go with where the files are.
    """
    names, words = given.files(), words_of(remote)
    if not any(is_url(name) for name in names):
        if remote is not None or index is not None:
            which = "remote" if remote is not None else "index"
            raise ValueError(f"{which}= is for files on a server, and none is named")
        return Files(names, swmr, wait)
    if swmr:
        raise ValueError("swmr=True is for files here: a server does not show what is appended")
    from .remote.remotes import Remotes  # takes its time, which who has no server needs not

    if index is not None:
        index = os.fsdecode(index)
        index = index if is_url(index) else os.path.abspath(index)  # noqa: PTH100 (keeps links)
    return Files(names, swmr, wait, Remotes(words, given.secrets, index))
