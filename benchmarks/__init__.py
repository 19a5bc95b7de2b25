"""Measurements: each case beside its limit and its peers, in one run, on results that are equal."""
