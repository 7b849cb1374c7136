"""Administrators' requests, through the running server or without one."""
