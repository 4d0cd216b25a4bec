"""Admission: notices when lanes fall back, offers what waits in vain, rescues what was abandoned. Any number may run."""
