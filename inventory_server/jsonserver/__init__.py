"""A threaded server of JSON lines, as a library: it knows no inventory, and needs the standard library alone."""
