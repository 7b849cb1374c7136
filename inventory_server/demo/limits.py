"""The limits of the demonstration, each with its unit and reason."""

WORKERS = 6
"""Threads; each runs the days of several tills, one after the other."""
DELIVERY_SECONDS = 60.0
"""How long a till may take to deliver what it sold offline: minutes of a busy machine, never of a quiet one."""
PAGE_ITEMS = 5_000
"""Items per page: more than there are shelves in the chain."""
ROWS_SHOWN_MAX = 12
"""Most rows shown of a table: it fits a screen beside the rest."""
