"""The inventory protocol: maps JSON-RPC requests to requests of the store, and outcomes to replies."""
