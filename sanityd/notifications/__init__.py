"""Which recipients are notified of which incidents, and why not; triage by people, noise, digest.

Notifications are made in three steps, see `notify.py`:

    context.py     read: `AlertContext.load` reads the store once and writes nothing
    decisions.py   decide: a Reason for each recipient of each incident, by `policy.py`; pure
    batching.py    decide: which decisions share a message, and which wait for the limit; pure
    notify.py      write: messages into the outbox, decisions into the audit
"""
