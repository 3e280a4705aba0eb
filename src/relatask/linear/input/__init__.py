"""What a person passes, read and checked: rows, labels, tasks, weights."""
