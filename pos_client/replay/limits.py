"""The limits of a replay, each with its unit and reason."""

PROGRESS_SECONDS = 0.1
"""How often the progress is reported."""
BACKOFF_FIRST_SECONDS = 0.1
"""Pause before the first retry; it doubles with every retry. Short, as someone is watching."""
BACKOFF_MAX_SECONDS = 5.0
"""Longest pause between two attempts: most outages are short."""
NAME_MARK_DIGITS = 10
"""Hex digits of a hash at the end of a shortened terminal name, which tell it from all others of a replay."""
