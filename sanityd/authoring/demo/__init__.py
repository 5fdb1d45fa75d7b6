"""The story sanityd grew from, played on an embedded database: what happened, what sanityd saw, who
was mailed."""
