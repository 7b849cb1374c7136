"""The limits of reading barcodes, each with its unit and reason."""

CODE_CHARS_MAX = 8_192
"""Longest code, in characters: more than the largest 2D symbol holds."""
CODE_CHARS_SHOWN = 80
"""How much of a code that cannot be read a message shows, in characters: more than any label of a scale has."""
