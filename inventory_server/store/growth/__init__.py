"""Growth: closings, partitions and the archive, which keep a growing ledger fast."""
