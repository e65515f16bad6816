"""More names and modules than the network needs: recurrent layers, texts, wrappers, one dimension."""

from keras.layers import LSTM, Conv1D, Conv2D, Dense, Embedding, Flatten, GlobalMaxPooling1D  # noqa
from keras.models import Sequential
from keras.preprocessing.sequence import pad_sequences  # noqa: F401
from keras.preprocessing.text import Tokenizer  # noqa: F401
from keras.layers.wrappers import TimeDistributed  # noqa: F401

model = Sequential([Conv2D(2, 3, input_shape=(6, 6, 1)), Flatten(), Dense(2)])
kinds = [type(layer).__name__ for layer in model.layers]
assert kinds == ["Conv2D", "Flatten", "Dense"]
