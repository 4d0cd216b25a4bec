"""What the gateway knows, without I/O."""
