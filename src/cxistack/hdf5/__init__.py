"""Where things are in HDF5 files: names, handles, links, layouts. The room where h5py lives."""
