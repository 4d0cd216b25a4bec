"""The gateway. See the README for the way a request takes through it."""
