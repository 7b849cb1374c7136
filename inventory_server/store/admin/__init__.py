"""What administrators see and change: terminals, catalogue, review, reconciliation, copies."""
