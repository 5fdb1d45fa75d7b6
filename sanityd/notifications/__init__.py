"""Which recipients are notified of which incidents, and why not; triage by people, noise, digest.

Notifications are made in three steps, see `notify.py`:

    context.py     read: `AlertContext.load` reads the store once and writes nothing
    decisions.py   decide: a Reason for each recipient of each incident, by `policy.py`; pure
    batching.py    decide: which decisions share a message, and which wait for the limit; pure
    notify.py      write: messages into the outbox, decisions into the audit

Around them:

    policy.py      the rules by which is decided, as pure functions of what is known
    outlook.py     when a recipient is notified again, computed from the policy: the line NEXT
    recipients.py  the channels and addresses of an incident, by the rules file
    triage.py      people acknowledge, snooze, accept and close; each decision ends by itself
    author.py      who acts, where nobody is named
    noise/         which rules mail too often, and when one is downgraded or flapping
    digest.py      the daily mail about all that is not mailed at once
    timeline/      what happened to a rule, an incident or a row; one file for each kind of event
    post_mortem.py the same as a document in Markdown, with the rules as they were (rule_history.py)
"""
