from collections.abc import Sequence

from typing_extensions import Buffer

_Filters = Sequence[tuple[int, Sequence[int]]]

class EncodePipeline:
    filters: tuple[tuple[int, tuple[int, ...]], ...]
    nbytes: int
    bound: int
    scratch_bytes: int
    def __init__(self, filters: _Filters, nbytes: int) -> None: ...

def encode(filters: _Filters, chunk: Buffer) -> bytes: ...
def shuffle_bits(data: Buffer, element: int, level: str) -> bytes: ...
