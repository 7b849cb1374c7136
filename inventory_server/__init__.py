"""Tillwire headquarters: the posting server, its store and its commands."""
