"""The commands of `pos-client`: one small function each. They need the `cli` extra."""
