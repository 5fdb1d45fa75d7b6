"""The tests mirror the rooms of `sanityd/`; `support/` holds the servers that they share."""

from pathlib import Path

#: The checkout.
ROOT = Path(__file__).parent.parent
