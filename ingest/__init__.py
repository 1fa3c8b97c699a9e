"""MQTT in: validated, deduplicated batches into the store; quarantine; committed watermark out."""
