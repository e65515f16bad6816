"""Devices, sessions, strategies and switches of TensorFlow: there is one machine, and no graph."""
