"""TableEncoder: turns a table's columns into numbers with scikit-learn's own transformers, and back from JSON."""
