"""The inventory protocol: messages, errors, strict JSON and exact numbers. No sockets, no files."""
