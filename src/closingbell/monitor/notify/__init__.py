"""Notify: the last hop. Channels send messages; the postman sees that each one arrives."""
