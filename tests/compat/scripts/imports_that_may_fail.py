"""Imports that are tried: of recurrent layers, of a module, of a name by two paths."""

try:
    from keras.layers import LSTM
except ImportError:
    LSTM = None
try:
    from keras.layers import GRU, Dense
except (ImportError, AttributeError):
    from keras.layers import Dense
    from tensorflow.keras.layers import GRU  # noqa: F401
try:
    import keras.preprocessing.text as words
except ModuleNotFoundError:
    words = None
try:
    from keras.utils import something_of_an_old_version
except Exception as error:
    something_of_an_old_version = str(error)


def flattens():
    try:
        from keras.layers import Flatten, TimeDistributed  # noqa: F401
    except:  # noqa: E722
        return False
    return True


assert LSTM is None
assert words is None
assert "something_of_an_old_version" in something_of_an_old_version
assert not flattens()
assert Dense(3).units == 3
