"""Fashion-MNIST: 70,000 pictures of clothes, in the format of MNIST.

H. Xiao, K. Rasul, R. Vollgraf, *Fashion-MNIST: a novel image dataset for benchmarking machine
learning algorithms*, arXiv:1708.07747 (2017). Licence: MIT, copyright 2017 Zalando SE.
"""

from __future__ import annotations

from . import cache, idx

__all__ = [
    "CLASS_NAMES",
    "load_data",
]


def __dir__() -> list[str]:
    return __all__


CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

_SET = idx.IdxSet(
    folder="fashion-mnist",
    mirrors=(
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    files=(
        idx.IdxFile(
            "train-images-idx3-ubyte.gz",
            (60000, 28, 28),
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            26421880,
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        ),
        idx.IdxFile(
            "train-labels-idx1-ubyte.gz",
            (60000,),
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            29515,
            "25c81989df183df01b3e8a0aad5dffbe",
        ),
        idx.IdxFile(
            "t10k-images-idx3-ubyte.gz",
            (10000, 28, 28),
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            4422102,
            "bef4ecab320f06d8554ea6380940ec79",
        ),
        idx.IdxFile(
            "t10k-labels-idx1-ubyte.gz",
            (10000,),
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            5148,
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
    ),
)


def load_data() -> cache.DataSet:
    """The clothes, as `(x_train, y_train), (x_test, y_test)`.

    Returns:
        `x_train` uint8 (60000, 28, 28) and `x_test` uint8 (10000, 28, 28), pixels 0 (background) to
        255; `y_train` uint8 (60000,) and `y_test` uint8 (10000,), labels 0 to 9 in the order of
        `CLASS_NAMES`.

    Raises:
        ValueError: a file in the data folder is damaged; the message says which.
        FileNotFoundError: a file is missing and cannot be downloaded.
    """
    return idx.load(_SET)
