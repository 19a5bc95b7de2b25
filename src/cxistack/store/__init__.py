"""The store: the files of a run under a protocol; attributes by name, from all files as one."""
