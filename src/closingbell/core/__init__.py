"""What things are: nouns and pure decisions, standard library only, no I/O."""
