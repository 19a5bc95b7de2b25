"""Frames in batches: as many as memory holds at a time, and as a writer appends them."""
