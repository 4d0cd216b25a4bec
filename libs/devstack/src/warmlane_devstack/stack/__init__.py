"""Everything on one machine: which processes make the stack, and the supervisor that keeps them running."""
