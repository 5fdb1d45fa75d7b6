"""`sanityd serve`: the daemon. Opens what it needs, and runs it until a signal stops it."""

import logging
import os
import signal
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sanityd.cli import EXIT_SOFTWARE
from sanityd.cli.options import open_store, rules_option

if TYPE_CHECKING:
    from sanityd.daemon.daemon import Daemon
    from sanityd.rules.rule import RuleSet
    from sanityd.store.open import Store

#: How often the store is tried while it can't be used.
RETRY_SECONDS = 5
log = logging.getLogger("sanityd")


@click.command("serve")
@click.option(
    "--web",
    metavar="HOST:PORT",
    help="Serve /healthz, /readyz and /metrics there: needs `sanityd[web]`.",
)
@rules_option
@click.pass_context
def command(ctx: click.Context, web: str | None, path: Path) -> None:
    """Check the rules on their schedules and mail what changes, until SIGTERM.

    The rules are read again when the file changes, and on SIGHUP. It waits for a store that can't
    be reached. Exit 70: the process can't go on, and a new one must begin.
    """
    from sanityd import telemetry
    from sanityd.rules.load import load
    from sanityd.scheduler import block_signals

    block_signals()
    telemetry.start(ctx.obj["log"])
    rules = load(path)
    with ExitStack() as stack:
        store = _wait_for_store(rules)
        if store is None:
            log.info("stopped")
            return
        stack.callback(store.close)
        alone = stack.enter_context(store.alone())
        from sanityd.daemon.daemon import Daemon

        daemon = Daemon(rules, store, alone=alone)
        if web is not None:
            stack.enter_context(_web(web, daemon))
        log.info("serving %d rules of %s, store %s", len(rules.enabled()), path, store.name)
        daemon.run()
        daemon.remedies.close()
        log.info("stopped")
        if daemon.scheduler.abandoned or daemon.scheduler.broken:
            # Python would wait for the thread of the check that hangs, and it would record into a
            # closed store.
            logging.shutdown()
            os._exit(EXIT_SOFTWARE if daemon.scheduler.broken else 0)


def _wait_for_store(rules: "RuleSet") -> "Store | None":
    """Open the store, and wait until it can be used. Returns None if stopped meanwhile."""
    from sanityd.errors import StoreUnavailableError
    from sanityd.scheduler import SIGNALS

    while True:
        try:
            return open_store(rules)
        except StoreUnavailableError as error:
            log.error("waiting for the store: %s. %s", error.message, error.hint)
        received = signal.sigtimedwait(SIGNALS, RETRY_SECONDS)
        if received is not None and received.si_signo != signal.SIGHUP:
            return None


def _web(address: str, daemon: "Daemon") -> AbstractContextManager[int]:
    from sanityd.web import serving

    host, _, port = address.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise click.UsageError(f"`{address}` is not an address; write `127.0.0.1:8080`")
    return serving.serve(
        host.strip("[]") or "127.0.0.1", int(port), daemon.rules_in_force, daemon.store
    )
