"""The limits of reading files, each with its unit and reason."""

CELL_LENGTH_MAX = 60
"""Longest cell shown in an error message, in characters: a longer one would hide the rest of the message."""
