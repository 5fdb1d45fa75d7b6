"""Who acts, where nobody is named."""

import getpass
import os


def author_name(name: str | None = None) -> str:
    """Return the name, or else SANITYD_AUTHOR, or else the login name."""
    try:
        return name or os.environ.get("SANITYD_AUTHOR") or getpass.getuser()
    except (OSError, KeyError):
        return "somebody"
