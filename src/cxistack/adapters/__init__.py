"""What other libraries take a store or a lazy array as: Dask's arrays, and others."""
