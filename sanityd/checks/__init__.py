"""What a rule asserts and how that is looked up. Knows nothing of YAML, time tables, memory or mail."""
