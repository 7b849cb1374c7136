"""The inventory protocol: its messages, its errors, strict JSON and exact numbers; no sockets, no files."""
