"""What takes the jobs that no dedicated lane can take."""
