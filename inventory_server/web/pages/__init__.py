"""The pages that people at headquarters look at: one module for each says what its page shows, as plain data."""
