"""The rule book: a pack as a static site that a clinician reads."""
