"""One file per channel, named like its kind; the contract is in `alerts/base.py`."""
