"""Choosing strengths: leave-one-out in closed form, cross-validation, marginal likelihood."""
