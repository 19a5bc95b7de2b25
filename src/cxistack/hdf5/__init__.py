"""The room where h5py lives: files, links, datasets, and where their bytes are."""
