"""The proof: everything that can be derived is derived again from the bytes of the postings."""
