"""`wan models smoke`."""
