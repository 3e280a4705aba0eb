"""The data as per-task sums: statistics, quadratic forms and their shifted inverses, dense and sparse."""
