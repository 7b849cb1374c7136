"""Tillwire's store side: sell now, deliver exactly once. Needs nothing but msgspec."""
