"""What this build and this machine have."""

from .info import build_info

__all__ = ["build_info"]
