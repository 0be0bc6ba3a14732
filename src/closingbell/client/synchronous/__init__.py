"""The plain client, made from the async one by `scripts/build_client.py`."""
