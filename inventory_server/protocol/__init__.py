"""The inventory protocol: JSON-RPC requests to the store's, and its outcomes to replies."""
