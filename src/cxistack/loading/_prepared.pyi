from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..hdf5._descriptor import Descriptor
from ._few import Way

class PreparedFrames:
    def __init__(
        self,
        offsets: NDArray[np.int64],
        ways: Sequence[Way],
        descriptors: Sequence[Descriptor],
        shape: tuple[int, ...],
    ) -> None: ...

class LoadHandle:
    def __init__(self, resolve: Callable[[], PreparedFrames]) -> None: ...
    def capsule(self) -> object: ...
