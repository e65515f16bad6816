"""What notebooks of Colab's begin with: a drive, uploaded files, pictures of OpenCV's."""

import numpy as np
from google.colab import drive, files
from google.colab.patches import cv2_imshow

drive.mount("/content/drive", force_remount=True)
uploaded = files.upload()
for name in uploaded.keys():
    print(name, len(uploaded[name]))
cv2_imshow(np.zeros((4, 5, 3), np.uint8))
cv2_imshow(np.zeros((4, 5), np.float32))
files.download("model.h5")

from tensorflow import keras

assert keras.layers.Dense(3).units == 3
