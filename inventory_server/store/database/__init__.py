"""What differs between SQLite and PostgreSQL: opening, connections, transactions, errors, schema, partitions."""
