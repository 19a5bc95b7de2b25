"""What a user did or has that cannot work: one sentence on the error stream, no traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from ..errors import CXIError
from .lines import say

__all__ = ["FAILED", "failures_told", "sentence"]

FAILED = 2  # as a shell's own utilities do: 1 is a finding, 2 is trouble


def sentence(error: BaseException) -> str:
    """Return what an exception says, a system's error as ``file: cause``."""
    if isinstance(error, OSError) and error.strerror and not isinstance(error, CXIError):
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


@contextmanager
def failures_told() -> Iterator[None]:
    """End the command with a sentence and status 2 where the block raises what a user can mend."""
    try:
        yield
    except BrokenPipeError:  # the reader of our output has left (``| head``)
        raise
    except (CXIError, OSError, ValueError, TypeError, MemoryError, ImportError) as error:
        say(f"Error: {sentence(error)}", err=True)
        raise typer.Exit(FAILED) from error
