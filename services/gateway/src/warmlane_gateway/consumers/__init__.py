"""What runs beside the requests: relay, projector, lane directory, changes, sweep."""
