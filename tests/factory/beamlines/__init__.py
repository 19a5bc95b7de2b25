"""Runs as real programs lay them out, one function a layout, written with plain h5py.

`LAYOUTS` names the functions: each takes an empty folder and returns a :class:`Run`, which says
what must come back. `FAULTY` is of runs in which something is wrong, each a :class:`Fault`.

Modules: `cxi` and `cxi_variants` (the specification, libcxi, CXIDB), `ptychography` (cdtools, PyNX,
pyrost), `cheetah` (Cheetah, condor), `nexus` (Diamond, Lambda), `dectris` (filewriter), `euxfel`
(modules, virtual CXI), `undescribed` (LImA, BLISS, bare files).
"""

from collections.abc import Callable
from pathlib import Path

from . import cheetah, cxi, cxi_variants, dectris, euxfel, nexus, ptychography, undescribed
from .run import Fault, Run

__all__ = ["FAULTY", "LAYOUTS", "Fault", "Run"]

LAYOUTS: dict[str, Callable[[Path], Run]] = {
    layout.__name__: layout
    for family in (cxi, cxi_variants, ptychography, cheetah, nexus, dectris, euxfel, undescribed)
    for layout in family.LAYOUTS
}

FAULTY: dict[str, Callable[[Path], Fault]] = {
    fault.__name__: fault for family in (nexus, dectris, euxfel) for fault in family.FAULTY
}
