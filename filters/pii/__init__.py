"""Personal data and secrets: found by pattern, checksum and the words before them."""
