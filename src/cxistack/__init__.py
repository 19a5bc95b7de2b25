"""The way between CXI/HDF5 files of detector frames and NumPy arrays."""

from importlib.metadata import version

__version__ = version("cxistack")
