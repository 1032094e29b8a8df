"""Networks that Keras's libraries do not have."""
