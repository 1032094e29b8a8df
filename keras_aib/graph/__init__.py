"""Where things go into a model, and how it is traced again with them."""
