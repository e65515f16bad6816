"""`tf.errors`: Python's own errors, by TensorFlow's names."""

from __future__ import annotations

__all__ = [
    "FailedPreconditionError",
    "InternalError",
    "InvalidArgumentError",
    "NotFoundError",
    "OpError",
    "OutOfRangeError",
    "ResourceExhaustedError",
    "UnimplementedError",
]

InvalidArgumentError = ValueError
NotFoundError = FileNotFoundError
OutOfRangeError = StopIteration
ResourceExhaustedError = MemoryError
FailedPreconditionError = InternalError = OpError = RuntimeError
UnimplementedError = NotImplementedError
