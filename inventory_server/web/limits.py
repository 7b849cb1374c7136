"""Every limit of the web process, defined once: its unit and reason."""

from __future__ import annotations

WEB_THREADS = 16
"""Requests that are worked on at a time: twice the connections for questions, as some wait for the server instead."""
REQUESTS_WAITING_MAX = 128
"""Requests that are worked on or wait for a thread; above this it is `busy`. Feeds that are open do not count."""
BUSY_RETRY_MS = 1_000
"""How long a program waits before it asks again after `busy`."""
LONG_QUESTIONS_MAX = 1
"""Proofs and catalogues that are read at a time: each reads most of the ledger."""
LANGUAGE_COOKIE_SECONDS = 365 * 86_400
"""How long a browser keeps the language that was chosen: a year, as it is a preference."""
