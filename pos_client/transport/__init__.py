"""Connections to a server: the byte stream, requests on it, and one request in one call."""
