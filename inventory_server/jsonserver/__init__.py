"""A threaded JSON server on the standard library; it knows no inventory."""
