"""What a rule asserts about data, and how that is evaluated with few statements.

Knows nothing of YAML, schedules, the store or mail.
"""
