"""What convkit is compared with: NumPy thrice, and PyTorch and Keras where they are installed."""
