"""Converting a run: its attributes into one new file, in bounded memory."""
