"""The domain: the rules of stock and the table of requests; pure, without sockets, SQL or a clock."""
