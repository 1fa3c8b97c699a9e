"""The agent at a firm: drivers for meters, the disk buffer, the uplink."""
