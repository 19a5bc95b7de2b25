"""A protocol for files that nobody described, and the reason for each of its choices."""
