"""The engines. Importing this package costs nothing; importing an engine's module imports torch and diffusers."""
