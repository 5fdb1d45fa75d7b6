"""Alerts: how a message about incidents is composed and delivered through a channel.

Knows nothing of rules files, sources or the store.
"""
