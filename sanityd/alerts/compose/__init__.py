"""Composition of messages: an alert becomes sentences, tables and templates. Sends nothing."""
