"""Writing: changing datasets (writer) in a copy of the file that then takes its name (replace)."""
