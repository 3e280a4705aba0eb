"""Steps: what is done with batches between two updates. One way, one file."""
