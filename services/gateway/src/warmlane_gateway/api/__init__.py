"""HTTP: routes, errors, and what every answer carries."""
