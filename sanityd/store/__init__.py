"""sanityd's own memory: runs, violations, incidents, outbox, audit. Knows nothing of checks or mail."""
