"""A park in a box with ground truth; faults; load."""
