"""The async client. The plain one is made from it by `scripts/build_client.py`."""
