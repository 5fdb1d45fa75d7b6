"""From what changed to a message in somebody's mailbox. Knows nothing of rules files, sources or the store."""
