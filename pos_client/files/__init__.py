"""Sales files: CSV rows, through a mapping, to postings."""
