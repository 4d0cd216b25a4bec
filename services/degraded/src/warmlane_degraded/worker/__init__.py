"""The shared worker: holds any heavy model, one at a time."""
