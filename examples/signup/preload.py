"""Imports what a pass of sanityd needs, in the process from which `rounds` forks its own."""

import sanityd.cli.check
import sanityd.cli.reports
import sanityd.pipeline
import sanityd.rules.load
import sanityd.sources.sqlite
import sanityd.store.open
import sanityd.alerts.channels.email  # noqa: I001
import sanityd.alerts.dispatcher  # noqa: F401
