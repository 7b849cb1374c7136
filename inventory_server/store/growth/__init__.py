"""How a ledger stays fast as it grows: closings, partitions, the archive."""
