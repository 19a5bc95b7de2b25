"""Faulty layouts, one function each, and what must come of them: `ROWS`, by name.

Each function writes its files to an empty folder and returns the names to open; its decorator says
what is asked and what must come. `python -m factory.faulty`, in the folder `tests`, shows the table
with the very words of each message.
"""

from . import damage, files, links, runs, shapes, types, virtual
from .row import GOOD_DISTANCE, ROWS, Row

__all__ = ["GOOD_DISTANCE", "ROWS", "Row"]

assert all((damage, files, links, runs, shapes, types, virtual))
