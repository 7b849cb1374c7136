"""Database backends: what differs between SQLite and PostgreSQL (connections, transactions, errors, schema)."""
