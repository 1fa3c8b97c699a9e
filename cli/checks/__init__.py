"""What `greenpark doctor` looks at: this machine, the database, the broker."""
