"""Loading: from a user's words to the pixels in their places."""
