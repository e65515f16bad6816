"""Measuring convkit against its peers: `python -m convkit.bench`.

    python -m convkit.bench kernels      each layer shape of the three models, each direction
    python -m convkit.bench train        whole training steps of the three models
    python -m convkit.bench infer        prediction of one batch, of several sizes
    python -m convkit.bench profile      where the time of a training step goes, part by part
    python -m convkit.bench scaling      the training step by threads and by batch size
    python -m convkit.bench memory       peak resident set of a process that trains
    python -m convkit.bench startup      import time and installed size

Contenders take turns, and what counts is the median of their ratios; see `convkit.bench.measure`.
`convkit.bench.contenders` holds what convkit is compared with, `convkit.bench.peers` their names,
and `convkit.bench.isolated` those in processes of their own.
"""
