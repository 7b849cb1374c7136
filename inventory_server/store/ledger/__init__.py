"""The ledger: tables, records, rendered SQL and time travel, on which the other parts of the store build."""
