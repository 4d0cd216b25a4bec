"""`wan models sign`."""
