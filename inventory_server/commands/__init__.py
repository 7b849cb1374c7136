"""The commands of `inventory-server`, one function each."""
