"""Which pixels of a frame, in which order: crops, strides, mirrors, bins."""
