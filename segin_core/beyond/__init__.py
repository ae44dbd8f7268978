"""What the paper does not have: matches that are better than its own, and what N makes of them."""
