"""Saving: from a user's words to a dataset that has been changed."""
