"""The dashboards, one module each: what stands on it, in what order, with a sentence on every panel."""
