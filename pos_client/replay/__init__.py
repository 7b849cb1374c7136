"""The replay: posts sales files through simulated tills."""
