"""`suggest` and `init`: profile tables, then propose rules and constraints that their rows support."""
