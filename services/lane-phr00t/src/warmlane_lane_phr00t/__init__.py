"""The lane that keeps Phr00t WAN 2.2 Rapid warm."""
