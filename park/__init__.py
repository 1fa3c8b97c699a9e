"""The language everyone speaks: units, points, wire contract, registers, factors, indicators, targets. Pure."""
