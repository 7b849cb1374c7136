"""Compares the checkout (head) with another commit (base) on one machine, in turns; `make bench-compare` runs it."""
