"""flow_from_directory, binary: class_indices, len, next(), and a single image by load_img."""

import numpy as np
from keras.layers import Conv2D, Dense, Flatten, MaxPooling2D
from keras.models import Sequential
from keras.preprocessing import image
from keras.preprocessing.image import ImageDataGenerator

train_datagen = ImageDataGenerator(
    rescale=1.0 / 255, shear_range=0.2, zoom_range=0.2, horizontal_flip=True
)
test_datagen = ImageDataGenerator(rescale=1.0 / 255)
training_set = train_datagen.flow_from_directory(
    "images/train", target_size=(16, 16), batch_size=8, class_mode="binary"
)
test_set = test_datagen.flow_from_directory(
    "images/test", target_size=(16, 16), batch_size=8, class_mode="binary", shuffle=False
)
classifier = Sequential()
classifier.add(Conv2D(4, (3, 3), input_shape=(16, 16, 3), activation="relu"))
classifier.add(MaxPooling2D(pool_size=(2, 2)))
classifier.add(Flatten())
classifier.add(Dense(units=1, activation="sigmoid"))
classifier.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
classifier.fit_generator(
    training_set,
    steps_per_epoch=len(training_set),
    epochs=2,
    validation_data=test_set,
    validation_steps=len(test_set),
    verbose=0,
)
assert training_set.class_indices == {"cats": 0, "dogs": 1}
images, labels = training_set.next()
assert images.shape == (8, 16, 16, 3) and labels.shape == (8,) and images.max() <= 1.0
picture = image.load_img(test_set.filepaths[0], target_size=(16, 16))
array = np.expand_dims(image.img_to_array(picture), axis=0)
assert classifier.predict(array).shape == (1, 1)
