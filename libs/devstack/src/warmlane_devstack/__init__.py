"""The stack on one machine: embedded servers, the supervisor, the `warmlane` command."""
