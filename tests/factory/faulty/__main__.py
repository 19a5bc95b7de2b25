"""Shows the table of faulty layouts: what is wrong with each, and what cxistack says of it."""

import sys
import tempfile
from pathlib import Path

from cxistack import CXIError, CXIStore

from . import ROWS


def _told(row, folder):
    """Return what is said of a row, a line each."""
    made = row.make(folder)
    names = [made] if isinstance(made, str) else made
    try:
        with CXIStore(names, **row.options) as store:
            yield from (f"problem: {problem}" for problem in store.problems)
            if row.meanwhile is not None:
                row.meanwhile(names[0])
            loaded = store.load_attribute(row.attr, verbose=False, **row.ask)
            yield f"loads: {loaded.dtype} of shape {loaded.shape}"
    except (CXIError, OSError, MemoryError) as error:
        yield f"{type(error).__name__}: {error}"


for row in ROWS.values():
    with tempfile.TemporaryDirectory() as name:
        sys.stdout.write(f"{row.name}: {row.note}\n")
        for line in _told(row, Path(name)):
            sys.stdout.write(f"    {line.replace(f'{name}/', '')}\n")
