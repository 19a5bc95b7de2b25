"""Measurements, side by side with what users would otherwise call; run as ``python -m``."""
