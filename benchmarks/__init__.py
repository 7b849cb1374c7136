"""Benchmarks of Tillwire against its peers and the machine's physical limits; `make bench` runs them."""
