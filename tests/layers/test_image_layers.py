"""Augmentation in models: how it is drawn, the same for any threads, and in one pass in front."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from compare import Array, assert_same_bits, assert_threads_agree
from convkit import layers, ops
from convkit.layers.image_layer import ImageChain
from convkit.layers.step_context import StepContext
from convkit.ops._image_steps import fused

RNG = np.random.default_rng(5)
PIXELS, Y = RNG.integers(0, 256, (24, 12, 10, 3)).astype(np.uint8), np.arange(24) % 3

AUGMENTATION: tuple[Any, ...] = (
    lambda: layers.RandomFlip("horizontal"),
    lambda: layers.RandomTranslation(0.2, 0.2),
    lambda: layers.RandomRotation(0.1, fill_mode="constant", fill_value=0.5),
    lambda: layers.RandomZoom(0.3, interpolation="nearest"),
    lambda: layers.RandomShear(0.2, 0.1),
    lambda: layers.RandomBrightness(0.2, value_range=(0, 1)),
    lambda: layers.RandomContrast((0.3, 0.4), value_range=(0, 1)),
    lambda: layers.RandomErasing(value_range=(0, 1)),
    lambda: layers.RandomInvert(0.5, value_range=(0, 1)),
    lambda: layers.RandomGrayscale(0.3),
    lambda: layers.RandomHue((0.1, 0.4), value_range=(0, 1)),
    lambda: layers.RandomSaturation((0.3, 0.6), value_range=(0, 1)),
    lambda: layers.RandomColorJitter((0, 1), 0.2, 0.3, (0.4, 0.6), 0.1),
)

ALL_OF_FIT = (*AUGMENTATION, lambda: layers.RandomFlip("vertical", alternating=True))


def made(*front: Any, classes: int = 3, first: bool = True) -> convkit.Sequential:
    convkit.utils.clear_session()
    convkit.utils.set_random_seed(11)
    scale = [layers.Rescaling(1 / 255)]
    model = convkit.Sequential(
        [
            layers.Input(PIXELS.shape[1:]),
            *(scale if first else []),
            *(make() for make in front),
            *([] if first else scale),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(classes, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def trained(model: convkit.Sequential) -> tuple[Array, ...]:
    model.fit(PIXELS, Y, batch_size=7, epochs=2, verbose=0)
    return tuple(model.get_weights())


def test_the_same_bits_for_any_number_of_threads() -> None:
    assert_threads_agree(lambda: trained(made(*ALL_OF_FIT)), (1, 2, 3, 7))
    assert_same_bits(trained(made(*ALL_OF_FIT)), trained(made(*ALL_OF_FIT)))
    assert any(
        (one != other).any()
        for one, other in zip(trained(made(*ALL_OF_FIT)), trained(made()), strict=True)
    )


def test_after_a_resume(tmp_path: Path) -> None:
    whole, stops = trained(made(*ALL_OF_FIT)), True

    class Stop(Exception):
        """What interrupts a training."""

    class Interrupt(convkit.callbacks.Callback):
        """Stop in the middle of the second epoch."""

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if stops and self.model._engine.steps == 6:
                raise Stop

    backup = lambda: convkit.callbacks.BackupAndRestore(  # noqa: E731
        tmp_path / "backup", save_freq=1
    )
    options: dict[str, Any] = {"batch_size": 7, "epochs": 2, "verbose": 0}
    with pytest.raises(Stop):
        made(*ALL_OF_FIT).fit(PIXELS, Y, callbacks=[Interrupt(), backup()], **options)
    model, stops = made(*ALL_OF_FIT), False
    model.fit(PIXELS, Y, callbacks=[Interrupt(), backup()], **options)
    assert_same_bits(tuple(model.get_weights()), whole)


def test_in_front_and_behind_another_layer_alike() -> None:
    """In front, layers are done while a batch is gathered; behind an Activation they are steps."""
    step = StepContext(True, 9, 4)
    x = PIXELS.astype(np.float32) / 255
    for make in AUGMENTATION:
        convkit.utils.clear_session()
        inputs = layers.Input(x.shape[1:])
        front, behind = make(), make()
        one = convkit.Model(inputs, layers.Flatten()(front(inputs)))
        other = convkit.Model(inputs, layers.Flatten()(behind(layers.Activation("linear")(inputs))))
        front.index = behind.index = 2
        results = []
        for model in (one, other):
            plan = convkit.plan.lower(  # type: ignore[attr-defined]
                model.graph, len(x), True, loss=convkit.losses.MeanSquaredError(), gather=True
            )
            bound = plan.bind(len(x))
            bound.gather([x], np.arange(len(x)), step)
            bound.head.targets = np.zeros((len(x), x[0].size), np.float32)
            bound(step)
            results.append(bound.output.copy())
        assert len(plan.steps) > 1
        assert_same_bits(*results)


def test_uint8_is_read_where_it_lies() -> None:
    whole = trained(made(*AUGMENTATION, first=False))
    model = made(*AUGMENTATION, first=False)
    model.fit(PIXELS.astype(np.float32), Y, batch_size=7, epochs=2, verbose=0)
    assert_same_bits(tuple(model.get_weights()), whole)


def test_prediction_and_validation_see_images_as_they_are() -> None:
    model, plain = made(*AUGMENTATION), made()
    for _ in range(2):
        assert_same_bits(model.predict(PIXELS, verbose=0), plain.predict(PIXELS, verbose=0))
    plain.set_weights(model.get_weights())
    history = model.fit(
        PIXELS, Y, validation_data=(PIXELS, Y), batch_size=24, epochs=1, verbose=0
    ).history
    plain.set_weights(model.get_weights())
    assert history["val_loss"][0] == plain.evaluate(PIXELS, Y, verbose=0)
    assert model.evaluate(PIXELS, Y, verbose=0) == plain.evaluate(PIXELS, Y, verbose=0)


def test_the_plan_lists_what_is_gathered() -> None:
    inner = lambda: convkit.Sequential([make() for make in AUGMENTATION[:2]])  # noqa: E731
    model = made(inner)
    line = model.plan(8).splitlines()[2]
    assert "rescaling+random_flip+random_translation" in line
    assert "gather + rescaling + random_flip + random_translation" in line
    assert_same_bits(trained(made(inner)), trained(made(*AUGMENTATION[:2])))


def test_saved_pickled_cloned(tmp_path: Path) -> None:
    front = (*AUGMENTATION, lambda: layers.Resizing(14, 9), lambda: layers.RandomCrop(12, 8))
    model = made(*front, lambda: layers.CenterCrop(11, 7))
    trained(model)
    model.save(tmp_path / "m.safetensors")
    wanted = model.predict(PIXELS, verbose=0)
    copies = [
        convkit.models.load_model(tmp_path / "m.safetensors"),
        pickle.loads(pickle.dumps(model)),
        convkit.models.clone_model(model),
    ]
    copies[2].set_weights(model.get_weights())
    for copy in copies:
        assert [each.get_config() for each in copy.layers] == [
            each.get_config() for each in model.layers
        ]
        assert_same_bits(copy.predict(PIXELS, verbose=0), wanted)
    for each in (model, *copies[:2]):
        for _ in range(2):
            each.train_on_batch(PIXELS[:7], Y[:7])
    for copy in copies[:2]:
        assert_same_bits(tuple(copy.get_weights()), tuple(model.get_weights()))


def test_a_chain_of_them_is_called_on_arrays() -> None:
    convkit.utils.set_random_seed(3)
    chain = convkit.Sequential([make() for make in AUGMENTATION[:4]])
    one, other = chain(PIXELS), chain(PIXELS, training=True)
    assert one.shape == PIXELS.shape
    assert one.dtype == np.float32
    assert (one != other).any()
    np.testing.assert_array_equal(chain(PIXELS, training=False), PIXELS)
    assert chain(PIXELS[0]).shape == PIXELS[0].shape
    convkit.utils.set_random_seed(3)
    assert_same_bits(chain(PIXELS), one)
    classifier = made()
    with pytest.raises(ValueError, match="fit trains"):
        classifier(PIXELS, training=True)
    mixed = made(*AUGMENTATION[:1])
    assert_same_bits(mixed(PIXELS), mixed.predict(PIXELS, verbose=0))


def test_no_gradient_goes_through() -> None:
    model = convkit.Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.Conv2D(3, 3),
            layers.RandomFlip(),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    model.compile("sgd", "mse")
    x, y = RNG.random((4, 8, 8, 3), np.float32), np.zeros((4, 2), np.float32)
    with pytest.raises(ValueError, match="no gradient"):
        model.train_on_batch(x, y)
    model.layers[0].trainable = False
    model.train_on_batch(x, y)


def drawn(layer: Any, sizes: tuple[int, ...] = (20, 30, 3), count: int = 50_000) -> dict[str, Any]:
    found: dict[str, Any] = layer.draw(count, sizes, StepContext(True, 1, 2))
    return found


def distance(values: Array, low: float, high: float) -> float:
    """Kolmogorov's and Smirnov's from the uniform distribution, times the root of the count."""
    share = np.sort((np.asarray(values, np.float64).ravel() - low) / (high - low))
    assert share[0] >= 0.0
    assert share[-1] <= 1.0
    return float(np.abs(share - np.arange(len(share)) / len(share)).max() * np.sqrt(len(share)))


def test_parameters_are_distributed_as_keras_says() -> None:
    most = 1.95  # but once in a thousand
    shifts = drawn(layers.RandomTranslation((-0.1, 0.3), 0.2))["translations"]
    assert distance(shifts[:, 0], -6.0, 6.0) < most
    assert distance(shifts[:, 1], -2.0, 6.0) < most
    assert abs(np.corrcoef(shifts.T)[0, 1]) < 0.02
    assert distance(drawn(layers.RandomRotation(0.1))["angle"], -36.0, 36.0) < most
    zooms = drawn(layers.RandomZoom(0.5, (0.1, 0.2)))
    assert distance(zooms["height_zoom"], 0.5, 1.5) < most
    assert distance(zooms["width_zoom"], 1.1, 1.2) < most
    zooms = drawn(layers.RandomZoom(0.5))
    np.testing.assert_array_equal(zooms["height_zoom"], zooms["width_zoom"])
    assert distance(drawn(layers.RandomBrightness(0.3))["rgb_delta"], -76.5, 76.5) < most
    assert distance(drawn(layers.RandomContrast(0.3))["contrast_factor"], 1.0, 1.3) < most
    contrast = drawn(layers.RandomContrast((0.2, 0.4)))["contrast_factor"]
    assert distance(contrast, 0.8, 1.4) < most
    hues = drawn(layers.RandomHue(0.6))["factor"]
    assert distance(hues, -0.3, 0.3) < most
    hues = drawn(layers.RandomHue((0.2, 0.4)))["factor"]
    assert distance(np.abs(hues), 0.1, 0.2) < most
    for factor, low, high in ((0.6, -0.6, 0.6), ((0.2, 0.8), 0.2, 0.8)):
        ratios = drawn(layers.RandomSaturation(factor))["factor"]
        assert distance(ratios / (1 + ratios), low, high) < most
    jitter = layers.RandomColorJitter((0, 10), 0.3, 0.5, (0.2, 0.6), (0.2, 0.4))
    jittered = drawn(jitter)
    assert distance(jittered["brightness_factor"], -3.0, 3.0) < most
    assert distance(jittered["contrast_factor"], 1.0, 1.5) < most
    ratios = jittered["saturation_factor"]
    assert distance(ratios / (1 + ratios), 0.2, 0.6) < most
    assert distance(np.abs(jittered["hue_factor"]), 0.1, 0.2) < most
    between = np.abs(np.corrcoef([*jittered.values(), jittered["hue_factor"] > 0]))
    assert between[np.triu_indices(4, 1)].max() < 0.02
    gray = drawn(layers.RandomGrayscale(0.2))["apply_grayscale"]
    assert abs(gray.mean() - 0.2) < 3.3 * 0.4 / np.sqrt(len(gray))
    shears = drawn(layers.RandomShear(0.3, (0.1, 0.2)))["shear_factor"]
    assert distance(shears[:, 0], -0.3, 0.3) < most
    assert distance(np.abs(shears[:, 1]), 0.1, 0.2) < most
    for flips in (drawn(layers.RandomFlip())["flips"], shears[:, 1] > 0, hues > 0):
        assert abs(flips.mean() - 0.5) < 3.3 * 0.5 / np.sqrt(len(flips))
    boxes = drawn(layers.RandomErasing(scale=(0.25, 0.81)), (1000, 1000, 3))["boxes"]
    heights = boxes[:, 1] - boxes[:, 0]
    is_erased = heights > 0
    assert abs(is_erased.mean() - 0.5) < 3.3 * 0.5 / np.sqrt(len(boxes))
    # To whole pixels: the squares of the sides are uniform.
    squares = (heights[is_erased] / 1000) ** 2
    assert distance(np.clip(squares, 0.25, 0.81), 0.25, 0.81) < most + 0.5
    tops = drawn(layers.RandomCrop(5, 6))
    assert len(set(tops["top"])) == len(set(tops["left"])) == 1
    found = {
        int(layers.RandomCrop(18, 6).draw(1, (20, 30, 3), StepContext(True, 1, step))["top"][0])
        for step in range(60)
    }
    assert found == {0, 1, 2}


def test_parameters_depend_on_seed_step_layer_and_image_alone() -> None:
    layer = layers.RandomRotation(0.5)
    whole = layer.draw(64, (8, 8, 3), StepContext(True, 5, 6))["angle"]
    assert_same_bits(layer.draw(10, (8, 8, 3), StepContext(True, 5, 6))["angle"], whole[:10])
    other = layers.RandomRotation(0.5)
    other.index = 1
    for each, context in (
        (layer, StepContext(True, 5, 7)),
        (layer, StepContext(True, 6, 6)),
        (other, StepContext(True, 5, 6)),
        (layers.RandomRotation(0.5, seed=4), StepContext(True, 5, 6)),
    ):
        assert (each.draw(64, (8, 8, 3), context)["angle"] != whole).all()


def test_colors_of_images_of_one_channel() -> None:
    grey = PIXELS[..., :1].astype(np.float32)
    np.testing.assert_array_equal(layers.RandomGrayscale(1.0)(grey), grey)
    jitter = layers.RandomColorJitter(brightness_factor=(0.5, 0.5))
    np.testing.assert_allclose(jitter(grey), np.minimum(grey + 127.5, 255), atol=1e-4)
    assert_same_bits(layers.RandomColorJitter()(PIXELS), PIXELS.astype(np.float32))


def test_one_pass_is_what_its_layers_do_in_turn() -> None:
    """Where no two transforms that blend pixels become one."""
    convkit.utils.clear_session()
    x, context = PIXELS.astype(np.float32), StepContext(True, 3, 8)
    stages: list[Any] = [
        layers.Normalization(mean=[90.0, 100.0, 120.0], variance=[900.0, 2000.0, 3000.0]),
        layers.RandomTranslation(0.3, 0.3, fill_mode="constant", fill_value=-0.5),
        layers.RandomFlip(),
        layers.RandomContrast(0.5, value_range=(-3, 3)),
        layers.RandomHue(0.5, value_range=(-3, 3)),
        layers.RandomZoom(0.4, fill_mode="wrap"),
        layers.RandomCrop(9, 8),
        layers.RandomErasing(value_range=(-1, 1)),
        layers.Resizing(6, 7),
        layers.Rescaling([1.0, 2.0, 3.0], 0.5),
    ]
    for index, stage in enumerate(stages):
        stage.index = index
    together, turn = ImageChain(stages, PIXELS.shape[1:])(PIXELS, context), x
    for stage in stages:
        turn = ImageChain([stage], turn.shape[1:])(turn, context)
    np.testing.assert_allclose(together, turn, rtol=0, atol=1e-4)
    steps = [step for stage in stages[:3] for step in stage.image_steps(24, (12, 10, 3), context)]
    assert len(fused(steps, 3)) == 2
    np.testing.assert_allclose(
        ops.transform_images(x, steps), ops.transform_images(x, fused(steps, 3)), atol=1e-4
    )


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: layers.RandomFlip("both"), "mode must be one of"),
        (lambda: layers.RandomTranslation(1.5, 0.1), "height_factor must be a number"),
        (lambda: layers.RandomTranslation(0.1, (0.1, 0.2, 0.3)), "width_factor"),
        (lambda: layers.RandomTranslation(0.1, 0.1, fill_mode="mirror"), "fill_mode"),
        (lambda: layers.RandomRotation("a"), "factor"),
        (lambda: layers.RandomRotation(0.1, interpolation="bicubic"), "interpolation"),
        (lambda: layers.RandomRotation(0.1, fill_value=float("nan")), "fill_value"),
        (lambda: layers.RandomZoom(-1.0), "above -1"),
        (lambda: layers.RandomShear(-0.1), "x_factor"),
        (lambda: layers.RandomContrast(1.5), "factor"),
        (lambda: layers.RandomContrast(0.1, value_range=3), "value_range"),
        (lambda: layers.RandomBrightness(None), "factor"),
        (lambda: layers.RandomErasing(fill_value=(1, 2)), "fill_value"),
        (lambda: layers.RandomErasing(scale=(0.1, 2)), "scale"),
        (lambda: layers.RandomGrayscale(1.5), "factor"),
        (lambda: layers.RandomGrayscale((0.2, 0.3)), "one number"),
        (lambda: layers.RandomGrayscale()(PIXELS[..., :2]), "1 or 3 channels"),
        (lambda: layers.RandomHue(-0.5), "factor"),
        (lambda: layers.RandomHue(0.5, value_range=(1, 1)), "two different"),
        (lambda: layers.RandomHue(0.5)(PIXELS[..., :1]), "3 channels"),
        (lambda: layers.RandomSaturation((0.5, 1.5)), "factor"),
        (lambda: layers.RandomColorJitter(hue_factor=2), "hue_factor"),
        (lambda: layers.RandomColorJitter(contrast_factor="a"), "contrast_factor"),
        (lambda: layers.RandomColorJitter(hue_factor=0.1)(PIXELS[..., :1]), "3 channels"),
        (lambda: layers.RandomCrop(0, 3), "height"),
        (lambda: layers.Resizing(3, 3, "lanczos3"), "interpolation"),
        (lambda: layers.Resizing(3, 3, "bilinear", True, True), "give one of them"),
        (lambda: layers.CenterCrop(3, 2.5), "width"),
        (lambda: layers.RandomFlip(seed=-1), "seed"),
        (lambda: layers.RandomFlip(data_format="channels_first"), "data_format"),
        (lambda: layers.RandomFlip()({"masks": PIXELS}), "images"),
        (lambda: layers.RandomFlip()(PIXELS[0, 0]), "rank 4"),
        (lambda: layers.RandomErasing(fill_value=(1, 2, 3))(PIXELS[..., :1]), "fill_value"),
    ],
)
def test_what_cannot_be_is_refused_in_words(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def flips_of(epochs: int, first: int = 0, **options: Any) -> tuple[Array, list[Array]]:
    """Which of 24 images are flipped in each epoch of `fit`, and the model's weights after it."""
    convkit.utils.clear_session()
    convkit.utils.set_random_seed(options.pop("seed", 11))
    seen: list[tuple[Array, Array]] = []

    class Flip(layers.RandomFlip):
        transforms_images = True
        operation = "random_flip"

        def draw(self, count: int, sizes: Any, context: StepContext) -> dict[str, Any]:
            drawn = super().draw(count, sizes, context)
            assert context.indices is not None
            seen.append((np.array(context.indices), np.array(drawn["flips"])))
            return drawn

    x = np.arange(24, dtype=np.float32).reshape(24, 1, 1, 1) + np.arange(2).reshape(1, 1, 2, 1)
    model = convkit.Sequential(
        [
            Flip("horizontal", alternating=True, input_shape=(1, 2, 1)),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )
    model.compile("sgd", "mse")
    model.optimizer.learning_rate = 1e-4  # type: ignore[union-attr]
    fitted = {"batch_size": 7, "verbose": 0, "initial_epoch": first, "epochs": epochs, **options}
    model.fit(x, np.arange(24.0), **fitted)
    flips = np.zeros((epochs - first, 24), bool)
    count = 0
    for indices, drawn in seen:
        flips[count // 24, indices] = drawn
        count += len(indices)
    return flips, model.get_weights()


def test_an_alternating_flip_shows_each_image_both_ways() -> None:
    flips, weights = flips_of(4)
    np.testing.assert_array_equal(flips[1], ~flips[0])
    np.testing.assert_array_equal(flips[2:], flips[:2])
    assert 4 < flips[0].sum() < 20
    # By the image, whatever batch it is in.
    for options in ({"shuffle": False}, {"batch_size": 24}):
        np.testing.assert_array_equal(flips_of(4, **options)[0], flips)  # type: ignore[arg-type]
    np.testing.assert_array_equal(flips_of(4, 1)[0], flips[1:])
    assert not np.array_equal(flips_of(4, seed=12)[0], flips)
    assert_same_bits(tuple(flips_of(4)[1]), tuple(weights))
    # Half of many images, each by the generator's number of its index.
    layer, context = layers.RandomFlip(alternating=True), StepContext(True, 5)
    many = layer.draw(20_000, (8, 8, 3), context)["flips"]
    assert abs(many.mean() - 0.5) < 3.3 * 0.5 / np.sqrt(len(many))
    np.testing.assert_array_equal(many, ops.uniform(20_000, seed=5) < 0.5)
    context.epoch, context.indices = 1, np.array([19_999, 3])
    np.testing.assert_array_equal(layer.draw(2, (8, 8, 3), context)["flips"], ~many[[19_999, 3]])


def test_an_alternating_flip_of_arrays_and_of_batches() -> None:
    x, flip = PIXELS[:8].astype(np.float32), layers.RandomFlip("horizontal", alternating=True)
    one, two, three = (flip(x) for _ in range(3))
    np.testing.assert_array_equal(two, one[:, :, ::-1])
    np.testing.assert_array_equal(three, one)
    assert (one == x).all(axis=(1, 2, 3)).sum() not in (0, 8)
    np.testing.assert_array_equal(flip(x, training=False), x)
    model = made(lambda: layers.RandomFlip(alternating=True))
    with pytest.raises(ValueError, match=r"random_flip.*give fit arrays, not an iterable"):
        model.fit([(PIXELS[:8], Y[:8])], verbose=0)
    with pytest.raises(ValueError, match="give fit arrays"):
        model.train_on_batch(PIXELS[:8], Y[:8])
