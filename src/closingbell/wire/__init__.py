"""What travels over the wire: the models of the API's requests and answers, by noun.

Shared by the API, which checks and documents with them, and the client, which reads
them. Times are aware and written as ISO 8601 in UTC; durations are seconds in fields
that end in `_s`; money and quantities are decimal text.
"""
