"""What the service remembers: cards that were answered, and what clinicians did with them."""
