"""Pixel kernels."""
