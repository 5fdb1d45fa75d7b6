"""Remedies: requests that repair violating rows. A remedy resolves nothing; only a run does.

    plan     open rows → requests, recorded with their ids     planning.py, stopping.py
    send     claim one, commit, send it, record the answer     running.py, sending.py, requests.py
    tell     what was refused, given up or stopped             telling.py

Nothing is sent that was not recorded before. The id of a request is that of its row and episode,
and never changes; so the receiver can recognise a request that it has performed already.
"""
