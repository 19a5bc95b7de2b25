"""The protocol that a user's word means: a built-in one's name, an INI file, or a protocol."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import ProtocolError
from .protocol import CXIProtocol

__all__ = ["ProtocolName", "protocol_of"]

ProtocolName = CXIProtocol | str | os.PathLike[str]


def protocol_of(given: ProtocolName | None) -> CXIProtocol:
    """Return a protocol, the built-in one of a name, or that of an INI file; the default if None.

    Raises
    ------
    ProtocolError
        There is no built-in protocol and no INI file of this name, or the file describes none.
    TypeError
        It is no protocol and no name of one.
    """
    if isinstance(given, CXIProtocol):
        return given
    if given is not None and not isinstance(given, str | os.PathLike):
        raise TypeError(
            f"protocol= takes a CXIProtocol, the name of a built-in one "
            f"({', '.join(CXIProtocol.names())}) or an INI file, not a value of type "
            f"{type(given).__name__}"
        )
    name = "default" if given is None else os.fspath(given)
    if name in CXIProtocol.names():
        return CXIProtocol.import_named(name)
    file = Path(name).expanduser() if name.startswith("~") else Path(name)
    if not name or not file.exists():
        raise ProtocolError(
            f"{name!r} is no built-in protocol, and there is no such file; the built-in protocols "
            f"are {', '.join(CXIProtocol.names())}"
        )
    return CXIProtocol.import_ini(file)
