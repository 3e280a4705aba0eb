"""Tasks and rows that arrive later: statistics merged and taken apart, and the same model solved again."""
