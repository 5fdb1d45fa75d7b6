"""Health and metrics over HTTP, served by the daemon."""
