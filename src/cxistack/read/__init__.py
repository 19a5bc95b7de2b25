"""Reading: which frames lie where (index), what to read (plan), and doing it (engine)."""
