"""The `warmlane` command."""
