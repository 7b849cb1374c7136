"""The limits of the domain, each with its unit and reason."""

AUDIT_ENTRIES_MAX = 10_000
"""Most entries of the audit trail in one answer: some megabytes."""
FINDINGS_MAX = 100
"""Most findings of a proof that are described; all are counted."""
GAPS_MAX = 1_000
"""Ranges beyond the first gap that a lineage may hold; bounds its row. Past it the till starts a new lineage."""
