"""Replays sales files through simulated tills."""
