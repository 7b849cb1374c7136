"""The limits and delays of the fault kit, each with its unit and reason."""

DELAY_SECONDS = 1.5
"""Longest delay of an answer: longer than a hasty program's time-out."""
HEARTBEAT_SECONDS = 5
"""What `hello` asks for: an idle program shows up within one case."""
RETRY_AFTER_MS = (20, 300)
"""The range of waits that `busy` and `draining` ask for."""
RESTART_SECONDS = 0.2
"""How long a program stays down after it ended or was killed, so that a crash loop leaves time to look."""
START_SECONDS = 10.0
"""Time a program has for its first sale; then the trouble begins all the same."""
POLL_SECONDS = 0.02
"""How often the harness checks the program and HQ."""
REASONS_SHOWN_MAX = 3
"""Most examples of one kind in the notes of a case."""
LINE_LENGTH_MAX = 80
"""Longest malformed line kept, in characters."""
