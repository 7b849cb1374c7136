"""The till: outbox, sender, and PosClient on top."""
