"""What training costs: the loop beside one written by hand, experts as one product, a hundred heads beside ten."""
