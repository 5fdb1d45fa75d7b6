"""sanityd checks rules about the data in your databases, and notifies you when one is violated."""

__version__ = "0.1.0"
