"""What this build and this machine have."""

from .info import build_info, get_include

__all__ = ["build_info", "get_include"]
