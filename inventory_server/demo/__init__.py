"""A made-up day of a small chain, traded through real tills and sockets: `inventory-server demo`."""
