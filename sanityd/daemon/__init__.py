"""The process that runs in the background: the rules in force, their changes, its health and its heartbeat."""
