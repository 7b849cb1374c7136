"""The limits of the observer, each with its unit and reason."""

FEED_POLL_SECONDS = 0.5
"""How often the observer looks for new positions: a person is told within a second."""
SWEEP_SECONDS = 10.0
"""How often it looks at tills, exceptions and targets: much more often than an alert of one may open."""
LEVELS_SWEEP_SECONDS = 300.0
"""How often it looks at all reorder points: the feed tells neither of the catalogue nor of expired reservations."""
LEDGER_RETRY_SECONDS = 1.0
"""Pause after the ledger could not be read or changed."""
POSITION_SECONDS = 60.0
"""How often it notes how far it is if nothing else is noted; what it reads again after a crash opens nothing twice."""
TILL_SILENT_SECONDS = 300
"""A till that sends nothing for so long is an alert: more than a restart takes."""
HOLE_SECONDS = 120
"""A hole that stays for so long is an alert: what a till sends again fills most of them in seconds."""
CLOCK_OFF_MS = 60_000
"""A till's clock that is off by more is an alert: its receipts show it. The tick clock corrects what is posted."""
CLOCK_OFF_SECONDS = 60
"""A clock that is off for so long is an alert: a till that has just booted sets it."""
OVER_SECONDS = 120
"""For so long none of these may be seen before its alert closes: a line that comes and goes is one alert."""
PROOF_SHARE = 0.05
"""Share of the time that the background proof reads: of a processor, or of a database server."""
PROOF_LEVELS = 20
"""Levels that it compares at a time: milliseconds, so that nothing else waits."""
DELIVERY_POLL_SECONDS = 1.0
"""How often the thread of a target looks for something to deliver, if nobody wakes it."""
DELIVERY_SECONDS = 10.0
"""Deadline of one delivery: a receiver notes it and answers at once."""
RESPONSE_BYTES_MAX = 4_096
"""Bytes read of the body of a response: none of it is used."""
SECRET_BYTES_MIN = 24
"""Bytes of a webhook's secret at least, as Standard Webhooks has it."""
SECRET_BYTES_MAX = 64
"""Bytes of it at most, as Standard Webhooks has it."""
TARGETS_FILE_BYTES_MAX = 65_536
"""Bytes of the file of targets: all of them have a few hundred each."""
FAILURES_ALARMING = 3
"""Failures in a row of a target that are an alert for all others: half a minute and two pauses."""
EXCEPTIONS_NOTICED_MAX = 10_000
"""Causes that wait for a person, in one look at them."""
ENDING_SECONDS = 15.0
"""How long the process waits for deliveries under way when it is stopped: their deadline, and noting the outcome."""
