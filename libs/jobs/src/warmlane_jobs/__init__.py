"""The life of a task as pure functions: no clock, no network, no database."""
