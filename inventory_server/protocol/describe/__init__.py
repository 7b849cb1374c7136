"""The protocol, described for machines: OpenRPC, JSON Schema and examples."""
