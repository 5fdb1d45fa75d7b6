"""Lint a rules file: find its mistakes, and with a connection those that the databases report."""
