"""The public Python interface: `sanityd.open`, `sanityd.expecting`, and what they return.

Import the names from `sanityd` itself; docs/reference/python.md says which are stable.
"""
