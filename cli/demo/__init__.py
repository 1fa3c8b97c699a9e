"""The demonstration: one small park, running end to end on this machine."""
