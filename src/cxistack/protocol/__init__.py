"""What attributes there are, where files keep them, and what they are."""
