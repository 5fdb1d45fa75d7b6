"""The watched databases: opened read-only, read in one snapshot, never trusted. Knows nothing of rules."""
