"""sanityd's own memory: runs, violations, incidents, outbox, audit. Knows nothing of databases watched, rules or mail."""
