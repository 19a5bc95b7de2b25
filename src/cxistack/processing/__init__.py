"""What is made of a stack of frames: masks of bad pixels, whitefields, principal components."""
