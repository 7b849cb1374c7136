"""The write path: group commit and the judging of postings."""
