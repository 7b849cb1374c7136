"""Connections to headquarters."""
