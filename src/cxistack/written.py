"""A small file comes to its name whole: who looks at it never sees a part of it."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["write_whole"]


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside its name, to the disk, and let it take the name.

    An old one is replaced, and the new one may be read and written by whom the old one might.

    Raises
    ------
    OSError
        It cannot be written; what was there stands.
    """
    path = Path(os.path.realpath(path))  # of a symbolic link the target is replaced, not the link
    if path.exists() and not path.is_file():
        path.write_bytes(content)  # a pipe, or /dev/stdout, keeps its name
        return
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with new.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            new.chmod(path.stat().st_mode & 0o7777)
        os.replace(new, path)  # noqa: PTH105
    except OSError as error:
        error.filename = str(path)
        raise
    finally:
        new.unlink(missing_ok=True)
