"""Compile, fit, evaluate, predict: the trainer, what feeds it, and what it shows."""
