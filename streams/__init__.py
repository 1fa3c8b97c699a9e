"""The processors: consumption ledger, indicators, standing, recompute."""
