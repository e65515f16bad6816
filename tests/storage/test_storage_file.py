"""A file of a model: the same bytes for ever, and one model whatever happens to it meanwhile."""

from __future__ import annotations

import base64
import json
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

import convkit
from compare import assert_same_weights
from convkit import layers, storage
from convkit.models import Sequential, load_model

pytestmark = pytest.mark.usefixtures("one_thread")

# A file of convkit 1, compressed: a model of five layers after two steps of two images.
EARLIER = (
    "c-rMwU1%It6c(W>p`tz%Vo@v82Ys0A&des8-AS@bO{f%#f<ZyEb-0<iyL-*d-0ht^+h${e`lb}5_#y}`ND=&jK8P"
    "STjV*=hllVjWAXHieA4Gi-L`2YY@7=%b?xbd$Hv@s$d(ZjKcYg1=ao-*CZ$)#Q0CVIajvPm`S2UM~^(DeJTU#k<b"
    "<83{!;)s3dPzHhNu|mo__a{d-1HJ=A@)le+=S^03If#pUIf7AXF%&Dtbhp=Zat|ZMo{QtdFpjzdFe%hz{oN94yY$"
    "i?G^bM`yg(YS`<_AHj+xNkD|y4QJ^H|@$ndkoFD}W3T0AJIBgl~d-Bpp%iyJOYOs~oeZQ3>VJ+rI#dV*RsETSrXd"
    "$C#bW^y})*?d7@s--@s=iaJvmjy3^;s+vpDRB^s#H9kh%_V%OSc4vh%@40>8q(&)sW{wIwWu%`9y_8RzsPx0C7dC"
    "ib8;kfOW)`1o07v%5WIsxC^hsXk2TNKrSbBDJD@E_G76WN7zw0w#&$maEC7miAWl-W{Fwvk{KAECw<B&e>Nn-f&R"
    "o`3_jXn?E4V=k|ucUirE)1qfw7JX`$&F!<E>FqE|MA{g(BCH*H*3VseH^h!!O$&SE@7-8_M~TYX9-6`W{hr6)M(B"
    "oRp&GiB=q&_OXo&^A)}Je=TKM0}Y`BV`yu#svvUT2K=8<)Su2;T_C@!QRPfaSO-8-E#aelq$zz@+2tlmZdpHYc%G"
    "4mYPjsq$cz&71-@A-8B+8jBp=?7|K`V*6Q!eh?aSPPWHBDGl~DV&Kzu`OJ<;rqgJ0kzNI?F?0B<%!Fvf6a7+TYG^"
    "i1I3fQ#9Nw6*9w!}cXhdk7u03Rb3inqC0uEPM&(ujn34!dZ%55Jiwr`L{%k$6&sk`r;P-VZnxrRvwJNXc}Es@Kd3"
    "#DciyaKtK@cS74dZeaq5%7vIqrW$OmpH_3uZ5?zb9y2D}n~&ougS~8!jHZP4X%r=fPF&)_`$`S52+u-1DwGkJqO("
    "lMh8zY;e;~_@298fFs-s&^Xd5h&V2;~CbKEU(k|}I`aJS9g(-!y-bPu_1%#gdBJY!K?LKJkX&eiH6n!lMMt1}=o@"
    "JZl#k%Ovz=hM~#+IgUKv8ejgB^=<PTeMZZy`GAd*5k`H3=8eyjHT&nHB&p0F1Hr7?$B~M!aRZtLpQTPvAKwD1JJK"
    "(W_4>^>E6oxxIRGN8rLVJZM8%vYY(73k=3(?(v{Eaj+C>8o*h@pT`T*}Ajb7<ZVN<f$KM%DPM@>{OncCzTbWMZMp"
    "7p&J(o*>9U{@WoSx4n!VQ)Cd{#HDB#J}S1Aysf#!3X-d657bAojT3>b%=Y4uI<Bgp~k1Odn2wCDjcB0f$Nu0P1Ew"
    "iRCaE$^*-MHW6@$3_%fD2Kc@DsQP=x+*`b!JF{`~{x3J~e)`SAhu22dKe{$D{mV;k@g{2&&h3A@;D7tcg|+X0+$d"
    "hzSG<gk;^?OP`5P~vU7sIWDgO4zRr`aV8^!YrqlJT)9xpub`jNsbzdm2Ma;mZZ#i_>h@}*BN?0NU#bam_<`@uUmC"
    ";zx{&&-~W@4C3}>ggHw+*=pl|7LUM?ELAOzwbR~FP;C&{(A32QwNSuO?|g9VvGOO=4aXcFOE(w{PSMsuRqsPKdc#"
    "c<EONJ{k4bfYU+T!@cU!-tMg~_{{o7wzXk"
)


def test_files_of_earlier_versions_load(tmp_path: Path) -> None:
    data = zlib.decompress(base64.b85decode(EARLIER))
    (tmp_path / "old").write_bytes(data)
    model = load_model(tmp_path / "old")
    assert [layer.name for layer in model.layers] == ["c", "n", "f", "o", "d"]
    assert model.optimizer is not None
    assert (model.optimizer.iterations, model._engine.steps, model.seed) == (2, 2, 3)
    x = np.arange(36, dtype=np.float32).reshape(4, 3, 3, 1) / 36
    expected = [0.48939499, 0.49912587, 0.51094413, 0.52275014]  # as that version predicted
    np.testing.assert_allclose(model.predict(x, verbose=0)[:, 0], expected, rtol=0, atol=1e-6)
    model.save(tmp_path / "new")
    assert_same_weights(load_model(tmp_path / "new"), model)


def test_the_safetensors_library_writes_the_same_bytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        name: rng.normal(size=shape).astype(np.float32)
        for name, shape in [("b/a", (2, 3)), ("a", ()), ('quo"te\\', (1,)), ("müde 日本\n", (0, 2))]
    }
    document = {"text": 'müde "日本" \\ \n', "numbers": [1, 2.5, None]}
    storage.write(tmp_path / "f", document, arrays)
    text = json.dumps(document, separators=(",", ":"))
    assert (tmp_path / "f").read_bytes() == safetensors.numpy.save(arrays, {"convkit": text})
    with storage.reading(tmp_path / "f") as (found, held):
        assert found == document
        for name, array in arrays.items():
            np.testing.assert_array_equal(held.take(name, array.shape), array)


def valued(value: int) -> Sequential:
    """A model whose every number, of arrays and document, is that value."""
    model = Sequential([convkit.Input((8,)), layers.Dense(5, name="d")], name="m")
    model.compile("sgd", "mse")
    model.set_weights([np.full(w.shape, value, np.float32) for w in model.get_weights()])
    model._engine.steps = value
    return model


def test_a_file_that_is_replaced_while_it_is_read_gives_one_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    valued(1).save(tmp_path / "m")
    real = storage.document.revive  # type: ignore[attr-defined]

    def replace(*arguments: Any) -> Any:
        """Between the document and the arrays."""
        valued(2).save(tmp_path / "m")
        return real(*arguments)

    monkeypatch.setattr("convkit.storage.document.revive", replace)
    model = load_model(tmp_path / "m")
    assert model._engine.steps == 1
    assert {float(v) for w in model.get_weights() for v in w.flat} == {1.0}
    monkeypatch.undo()
    assert load_model(tmp_path / "m")._engine.steps == 2


def take_both(path: Path, between: Callable[[], Any]) -> None:
    with storage.reading(path) as (_, arrays):
        arrays.take("d/kernel", (8, 5))
        between()
        arrays.take("d/bias", (5,))


def test_a_file_that_is_written_to_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m"
    valued(1).save(path)
    for change in (lambda: os.utime(path), lambda: os.truncate(path, path.stat().st_size - 4)):
        valued(1).save(path)
        with pytest.raises(ValueError, match="it was changed while it was read; load it again"):
            take_both(path, change)
