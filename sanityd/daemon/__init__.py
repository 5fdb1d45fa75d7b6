"""The background process: the rules in force, their changes, its health and its heartbeat."""
