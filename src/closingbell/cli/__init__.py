"""The command line. `closingbell --help` loads neither a database nor a user's code."""
