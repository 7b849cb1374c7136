"""The feed: sends what committed postings did to stock to the clients that watch."""
