"""What Warmlane's parts agree on. Pure: nothing here does I/O, and nothing here depends on another Warmlane package."""
