"""What the process does from which `rounds` forks its own: import everything, and go through a pass
of sanityd once, which reads the templates of the mails. Each fork begins where this ended."""

import logging
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import sanityd.cli.check
import sanityd.cli.reports
import sanityd.pipeline.remedies.running
import sanityd.store.migrate  # noqa: F401
from examples.signup import tables, worker  # noqa: F401
from sanityd import pipeline
from sanityd.rules.load import load
from sanityd.store.open import Store

RULES = Path(__file__).with_name("rules.yaml")


def go_through_a_pass() -> None:
    """Run the rules on empty databases; one is missing, so that there is something to mail."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        rules_text = RULES.read_text(encoding="utf-8")
        (folder / "rules.yaml").write_text(rules_text, encoding="utf-8")
        tables.connect(f"sqlite:///{folder}/app.db", tables.app).dispose()
        rules = load(folder / "rules.yaml", {"SMTP_URL": "smtp://127.0.0.1:1"})
        store = Store.open(None, folder)
        try:
            for batch in rules.by_source(rules.enabled()).values():
                pipeline.run_batch(rules, batch, store, datetime.now(UTC))
            pipeline.deliver(rules, store)
        finally:
            store.close()


logging.disable()
go_through_a_pass()
logging.disable(logging.NOTSET)
