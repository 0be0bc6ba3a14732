"""Pages: reports and comparisons as HTML that needs no server and no network."""
