"""The shipped price history; PROVENANCE.md beside it says where it comes from."""
