"""Measures Tillwire against its peers and its physical limits; `make bench` runs it."""
