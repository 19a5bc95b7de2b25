"""What the files of a run have of each attribute, and which of its frames lies where."""
