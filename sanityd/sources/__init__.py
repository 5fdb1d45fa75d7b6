"""Sources: the watched databases, read-only. `base` is the interface; each database is one file."""
