"""The price history of the demo; PROVENANCE.md beside it says where it comes from."""
