"""`google.colab.patches`: images as OpenCV has them."""

from __future__ import annotations

from typing import Any

__all__ = ["cv2_imshow"]


def cv2_imshow(a: Any) -> None:
    """Draw an image, (height, width) or (height, width, 3) in the order blue, green, red."""
    import matplotlib.pyplot as plt
    import numpy as np

    pixels = np.clip(np.asarray(a), 0, 255).astype(np.uint8)
    plt.figure()
    if pixels.ndim == 3 and pixels.shape[-1] >= 3:
        plt.imshow(pixels[..., 2::-1])
    else:
        plt.imshow(pixels.reshape(pixels.shape[:2]), cmap="gray")
    plt.axis("off")
    plt.show()
