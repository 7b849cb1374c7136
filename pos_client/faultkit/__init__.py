"""The fault kit: puts a till program through the trouble that real shops have."""
