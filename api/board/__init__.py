"""The live board: what a park's people look at, from `gather` (reads) over pure sections to `hub` (who hears of it)."""
