"""What the documents say is run, and compared with the code."""
