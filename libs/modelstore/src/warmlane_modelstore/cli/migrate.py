"""`wan models migrate`."""
