"""Whether a run is whole: everything opens, agrees and decodes; all that is wrong, not the first.

``structure`` looks at what is there and whether it agrees, ``meaning`` at units, and at masks while
``decoding`` decodes every chunk, ``cxi`` holds files against CXI 1.6. A further check is one more
such function.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..catalogue.catalogue import Catalogue
from .cxi import conforms
from .decoding import decodes
from .findings import Finding
from .meaning import means
from .request import CheckRequest
from .structure import agrees, is_there

__all__ = ["check"]


def check(
    catalogue: Catalogue,
    attributes: Sequence[str] | None = None,
    *,
    conformance: bool = False,
    num_threads: int | None = None,
    verbose: bool = False,
) -> list[Finding]:
    """Return all that is wrong with the files; see :meth:`cxistack.CXIStore.check`.

    Raises
    ------
    AttributeMissingError
        The protocol has no such attribute.
    """
    for attr in attributes or ():
        catalogue.protocol.attribute(attr)
    chosen = tuple(catalogue.protocol if attributes is None else dict.fromkeys(attributes))
    request = CheckRequest(chosen, attributes is not None, num_threads, verbose, conformance)
    found: dict[tuple[str, str, str], Finding] = {}
    for one in (is_there, agrees, means, decodes, conforms):
        for finding in one(catalogue, request):
            # What is wrong with a dataset is often the trouble of several checks.
            found.setdefault((finding.filename, finding.dataset, finding.cause), finding)
    return list(found.values())
