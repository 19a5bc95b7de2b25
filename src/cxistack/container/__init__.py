"""The container of a run's attributes: loads, transforms, replaces and saves them."""
