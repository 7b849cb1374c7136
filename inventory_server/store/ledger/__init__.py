"""The ledger's tables and records, how SQL is rendered, and time travel: what the other rooms of the store stand on."""
