"""The lane that keeps AniSora V3.2 warm."""
