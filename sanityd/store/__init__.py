"""The store: runs, violations, incidents, outbox, audit. Knows nothing of checks or mail."""
