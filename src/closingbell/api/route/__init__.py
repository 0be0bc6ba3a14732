"""The routes, one file for each noun; each offers a `router`."""
