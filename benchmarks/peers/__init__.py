"""The alternatives a user would write instead. Each runs as `python -m benchmarks.peers.NAME PORT DATABASE`."""
