"""Verification: everything derived is computed again from the bytes of the postings and compared."""
