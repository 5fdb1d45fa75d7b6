"""What the server behind `forked.py` does before it forks: import everything, and go once through
all of it."""

import logging
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import sanityd.api.one_pass
import sanityd.cli.check
import sanityd.cli.reports
import sanityd.store.migrate  # noqa: F401
from sanityd import pipeline
from sanityd.authoring.demo import story
from sanityd.rules.load import load
from sanityd.store.open import Store
from tests.support.project import RULES


def _pass() -> None:
    with TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "rules.yaml").write_text(RULES, encoding="utf-8")
        story.begin(folder / "app.db")
        # So that there is something to tell, and the templates of the mails are read.
        (folder / "app.db").rename(folder / "gone.db")
        rules = load(folder / "rules.yaml", {"SMTP_URL": "smtp://127.0.0.1:1"})
        store = Store.open(None, folder)
        try:
            pipeline.run_batch(rules, list(rules.enabled()), store, datetime.now(UTC))
            pipeline.deliver(rules, store)
        finally:
            store.close()


logging.disable()
_pass()
logging.disable(logging.NOTSET)
