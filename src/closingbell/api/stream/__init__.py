"""The live stream: what changes, told to all who follow, from one look at the store."""
