"""What a lane's worker is made of. See the README for the way a job takes through it."""
