"""An open HDF5 file, and who uses it at this moment."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import h5py

from .stamps import Stamp

if TYPE_CHECKING:
    from .remote.blocks import AsFile

__all__ = ["Handle", "Loan"]

_LOANS = 8  # of one handle: when it has as many, those that ended are cleared away


class Loan:
    """A use of a handle: it ends when it is given back, or with its last name (an interrupt)."""

    __slots__ = ("__weakref__", "handle")

    def __init__(self, handle: Handle) -> None:
        self.handle: Handle | None = handle


@dataclass(eq=False)
class Handle:
    """A file that is open for reading.

    Attributes
    ----------
    id : h5py.h5f.FileID
        The file; it is closed with its last name.
    stamp : Stamp
        What it was when it was opened.
    is_reading : bool
        Whether HDF5 lets nobody in this process write to the file meanwhile.
    pinned : bool
        Whether a user was given it.
    source : AsFile or None
        What it reads from, of a file on a server.
    """

    id: Any
    stamp: Stamp
    is_reading: bool = True
    pinned: bool = False
    source: AsFile | None = None
    _loans: list[weakref.ref[Loan]] = field(default_factory=list)
    _h5: Any = None

    @property
    def h5(self) -> Any:
        """The :class:`h5py.File`, made when it is first asked for: it takes 20 us."""
        if self._h5 is None:
            self._h5 = h5py.File(self.id)
        return self._h5

    @property
    def is_open(self) -> bool:
        """Whether nobody who was given it has closed it."""
        return bool(self.id.valid)

    def lend(self) -> Loan:
        """Return a new use of this."""
        loan = Loan(self)
        if len(self._loans) >= _LOANS:
            self._loans = self._open_loans()
        self._loans.append(weakref.ref(loan))
        return loan

    @property
    def is_lent(self) -> bool:
        """Whether somebody uses it at this moment."""
        return bool(self._open_loans())

    def _open_loans(self) -> list[weakref.ref[Loan]]:
        return [one for one in self._loans if (loan := one()) is not None and loan.handle]
