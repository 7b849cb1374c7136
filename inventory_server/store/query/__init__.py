"""Questions to a ledger, each answered from one snapshot."""
