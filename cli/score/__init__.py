"""The score: what the platform holds, compared with what truly happened."""
