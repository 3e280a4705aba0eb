"""The hierarchical prior: likelihood, search, posterior, and what the regressor learns from it."""
