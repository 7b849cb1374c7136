"""The web process: the HTTP API and the pages of headquarters, beside the server and never inside it."""
