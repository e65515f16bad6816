"""What convkit is compared with: NumPy twice, and PyTorch and Keras where they are installed."""
