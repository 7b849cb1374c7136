"""The till: the outbox, its sender, and `PosClient`, which combines them."""
