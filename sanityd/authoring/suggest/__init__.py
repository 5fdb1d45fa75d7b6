"""`suggest` and `init`: profile tables, then propose rules and constraints that fit their rows."""
