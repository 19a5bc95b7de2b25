"""Which SIMD level the kernels run at: the processor's best, unless someone says otherwise."""

import os
from contextlib import contextmanager

from cxistack.kernels.rows cimport cxi_levels, cxi_rows

cdef const cxi_rows *_tables[3]
cdef const cxi_rows *_current = NULL
cdef int _count = cxi_levels(_tables)


cdef const cxi_rows *current_rows() noexcept nogil:
    return _current


cdef str _name(const cxi_rows *table):
    return table.name.decode("ascii")


def simd_levels():
    """Return the SIMD levels that this processor can run, slowest first.

    Returns
    -------
    tuple of str
        ``"portable"`` always; ``"avx2"`` and ``"avx512"`` where build and processor have them.
        Results are the same, bit for bit, at all of them.

    Examples
    --------
    >>> simd_levels()[0]
    'portable'
    """
    return tuple([_name(_tables[i]) for i in range(_count)])


def simd_level():
    """Return the SIMD level in use.

    Returns
    -------
    str
        The last of `simd_levels`, unless the environment variable ``CXISTACK_SIMD`` or
        `use_simd` chose another.

    Examples
    --------
    >>> simd_level() in simd_levels()
    True
    """
    return _name(_current)


def _set_level(name):
    global _current
    for i in range(_count):
        if _name(_tables[i]) == name:
            _current = _tables[i]
            return
    raise ValueError(
        f"SIMD level {name!r} is not available here; this machine runs {', '.join(simd_levels())}"
    )


@contextmanager
def use_simd(name):
    """Run the kernels at one SIMD level inside a ``with`` block; for tests and measurements.

    Parameters
    ----------
    name : str
        One of `simd_levels`. The level is the process's: other threads see it too.

    Raises
    ------
    ValueError
        When the level is not available.

    Examples
    --------
    >>> with use_simd("portable"):
    ...     simd_level()
    'portable'
    """
    before = simd_level()
    _set_level(name)
    try:
        yield
    finally:
        _set_level(before)


_current = _tables[_count - 1]
if os.environ.get("CXISTACK_SIMD"):
    try:
        _set_level(os.environ["CXISTACK_SIMD"])
    except ValueError as error:
        raise ImportError(f"The environment variable CXISTACK_SIMD: {error}") from None
