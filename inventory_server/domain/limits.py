"""The limits of the domain, each with its unit and reason."""

CODE_SECONDS = 900
"""How long an enrolment code is valid: as long as somebody needs to walk to the till and type it."""
CODE_TRIES_MAX = 5
"""Wrong answers after which a code is locked: typing errors, but no guessing."""
AUDIT_ENTRIES_MAX = 10_000
"""Most entries of the audit trail in one answer: some megabytes."""
SALES_DAYS_USUAL = 31
"""Days for which a page of sales makes room, of each product: over a longer time a page may end within a product."""
ORDER_DAYS_MAX = 366
"""Longest lead time and order cycle, in days: what is ordered more rarely needs no list."""
EXCEPTIONS_DEFAULT = 1_000
"""Causes in a list of exceptions, if the question names no limit."""
EXCEPTIONS_MAX = 10_000
"""Most causes in one list of exceptions: some megabytes."""
COUNT_CHANGES_MAX = 20
"""Postings that are told of a count whose variance they changed; all are counted."""
FINDINGS_MAX = 100
"""Most findings of a proof that are described; all are counted."""
GAPS_MAX = 1_000
"""Ranges beyond the first gap that a lineage may hold; bounds its row. Past it the till starts a new lineage."""
WINDOW_MINUTES = 60
"""Contacts before the last one from which it is estimated when a boot began; in longer times oscillators drift."""
STEP_MICROS = 60_000_000
"""Contacts that exceed earlier ones by more than this were not delayed: a tick clock stopped, or HQ's was set."""
GAP_MINUTES = 10
"""Contacts no further apart than this count as one period of contact."""
PERIODS_MAX = 32
"""Periods of contact kept of a boot: of older ones hardly a posting is outstanding."""
DRIFT_DIVISOR = 10_000
"""An oscillator is off by at most one part in this many."""
BOOTS_MAX = 10
"""Boots kept of a terminal: a till that reboots at every opening delivers what is up to ten days old."""

HOLES_SHOWN_MAX = 10
"""Holes in the answer about one location: enough to see whose postings are missing; all are counted."""

PACK_UNITS_MAX = 100_000
"""Base units that one barcode may stand for: a container of small parts."""
FIGURE_MAX = 2**63 - 1
"""The largest stock figure, in units of 10⁻⁵: what a column of 64 bit holds."""
FIGURE_NEAR_MAX = 2**62
"""No single posting reaches `FIGURE_MAX` from less than this: its 1,000 lines of 10⁹ move 10¹⁷ units."""

LEVELS_PAGE_DEFAULT = 100
"""Levels on a page for people, if the question names no limit: what somebody reads before searching instead."""
LEVELS_PAGE_MAX = 1_000
"""Most levels on a page for people: a page of HTML of about a megabyte."""
SEARCH_LENGTH_MAX = 200
"""Characters of a search: the longest name of a product, or a scanned code with all its parts."""

VELOCITY_DAYS = 28
"""Business days over which it is measured how fast a product sells: four weeks, so that each weekday counts alike."""
COVER_DAYS_MAX = 3_660
"""Stock that lasts for more days than this, ten years, has no day on which it runs out."""
MARK_GRACE_DAYS = 2
"""Days after the expected one for which goods marked as ordered are still waited for."""
MARKS_MAX = 20
"""Marks as ordered of one product at one location: more is a program that repeats itself."""
ORDER_LINES_MAX = 10_000
"""Lines in one order list, the first to be ordered: some megabytes. All are counted."""
USERS_MAX = 1_000
"""Users of headquarters: people, and programs that call the API."""
KEYS_MAX = 20
"""Sessions, and API tokens, of one user: a person has a few browsers. The oldest session gives way to a new one."""
LINK_SECONDS = 24 * 3_600
"""How long a link that sets a password is valid: somebody has to pass it on."""

ALERT_SUBJECT_LENGTH_MAX = 64
"""Characters of what an alert is about: a SKU, a location, a terminal, a flag or a target."""
ALERT_SENTENCE_LENGTH_MAX = 500
"""Characters of the sentence of an alert: two lines with two names."""
ALERTS_CHANGED_MAX = 200
"""Alerts that one change opens or closes, each told to up to 20 targets: tills wait for it for milliseconds."""
ALERTS_DEFAULT = 1_000
"""Alerts in a list, if the question names no limit."""
ALERTS_MAX = 10_000
"""Most alerts in one list: some megabytes."""
ALERTS_KEPT_DAYS = 366
"""Days that a closed alert is kept: it is looked at in next year's season once more."""
ALERTS_PRUNED_MAX = 1_000
"""Closed alerts that a change deletes at most: the next one goes on."""
ALERT_TARGETS_MAX = 20
"""Targets of deliveries: people who are woken by more than that share one."""
REARM_DIVISOR = 10
"""An alert of a reorder point closes a tenth above it."""
DELIVERY_RETRY_SECONDS = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 14_400, 14_400)
"""Pauses before a target that failed is tried again, some 17 hours: a night without anybody. Then it is paused."""
DELIVERY_ERROR_LENGTH_MAX = 300
"""Characters kept of why a delivery failed."""
LEVELS_WATCHED_MAX = 10_000
"""Levels in one answer to the observer: some megabytes."""
LEVELS_PROVEN_MAX = 1_000
"""Levels that the background proof compares in one question, at most: seconds of reading."""
