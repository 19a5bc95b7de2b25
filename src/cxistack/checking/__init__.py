"""Whether a run is whole: all opens, fits, agrees and decodes; each fault is told of."""
