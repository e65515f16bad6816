"""What convkit is compared with: NumPy, and PyTorch where it is installed."""
