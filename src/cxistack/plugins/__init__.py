"""What other programs find us by: xarray's engine, napari's reader."""
