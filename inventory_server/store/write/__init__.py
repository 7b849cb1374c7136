"""The write path: group commit, and how a posting is judged."""
