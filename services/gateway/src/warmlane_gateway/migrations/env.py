"""Run by Alembic: migrate over the connection `warmlane_storage.migrations` opened, inside its transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
