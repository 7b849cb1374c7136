"""The commands of `inventory-server`: one small function each."""
