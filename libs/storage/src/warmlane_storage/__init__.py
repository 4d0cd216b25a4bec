"""Object storage (`objects`) and PostgreSQL (`postgres`, `migrations`). A service installs the extra it needs."""
