"""Initializers, regularizers and constraints by the names of Keras 1 and 2."""
