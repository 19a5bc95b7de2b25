"""A page of what a run holds, that a browser shows without a network."""
