"""Queries: each question is answered from one snapshot of the ledger."""
