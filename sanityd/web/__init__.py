"""What the daemon tells over HTTP."""
