"""The greenpark command, the one-machine stack, doctor."""
