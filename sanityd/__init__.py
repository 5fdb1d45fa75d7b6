"""sanityd: say in YAML what must always be true of your data; be mailed when it stops being true."""

__version__ = "0.1.0"
