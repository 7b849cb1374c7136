"""A simulated day of a small chain, through real tills and sockets: `inventory-server demo`."""
