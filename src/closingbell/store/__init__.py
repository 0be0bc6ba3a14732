"""What is true: one schema, two databases, and the verbs that change it."""
