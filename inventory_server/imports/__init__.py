"""Readers of files that headquarters imports."""
