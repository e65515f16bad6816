"""Metrics: numbers that say how good the predictions are, gathered over many batches.

A metric is used as in Keras: `update_state(y_true, y_pred)` for each batch, then `result()`;
`reset_state()` begins again. `compile` takes them by name, as objects, or as functions of arrays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core import lazy

if TYPE_CHECKING:
    from ..losses import (
        binary_crossentropy as binary_crossentropy,
    )
    from ..losses import (
        binary_focal_crossentropy as binary_focal_crossentropy,
    )
    from ..losses import (
        categorical_crossentropy as categorical_crossentropy,
    )
    from ..losses import (
        categorical_focal_crossentropy as categorical_focal_crossentropy,
    )
    from ..losses import (
        categorical_hinge as categorical_hinge,
    )
    from ..losses import (
        hinge as hinge,
    )
    from ..losses import (
        huber as huber,
    )
    from ..losses import (
        kl_divergence as kl_divergence,
    )
    from ..losses import (
        log_cosh as log_cosh,
    )
    from ..losses import (
        mean_absolute_error as mean_absolute_error,
    )
    from ..losses import (
        mean_absolute_percentage_error as mean_absolute_percentage_error,
    )
    from ..losses import (
        mean_squared_error as mean_squared_error,
    )
    from ..losses import (
        mean_squared_logarithmic_error as mean_squared_logarithmic_error,
    )
    from ..losses import (
        poisson as poisson,
    )
    from ..losses import (
        sparse_categorical_crossentropy as sparse_categorical_crossentropy,
    )
    from ..losses import (
        squared_hinge as squared_hinge,
    )
    from .accuracy import (
        Accuracy,
        AccuracyByShape,
        BinaryAccuracy,
        CategoricalAccuracy,
        SparseCategoricalAccuracy,
        SparseTopKCategoricalAccuracy,
        TopKCategoricalAccuracy,
        binary_accuracy,
        categorical_accuracy,
        sparse_categorical_accuracy,
        sparse_top_k_categorical_accuracy,
        top_k_categorical_accuracy,
    )
    from .at_constraint import (
        PrecisionAtRecall,
        RecallAtPrecision,
        SensitivityAtSpecificity,
        SpecificityAtSensitivity,
    )
    from .auc import AUC
    from .confusion import (
        FalseNegatives,
        FalsePositives,
        Precision,
        Recall,
        TrueNegatives,
        TruePositives,
    )
    from .f_score import F1Score, FBetaScore
    from .iou import BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
    from .means import Mean, MeanMetricWrapper, Sum
    from .metric import Metric
    from .metric import plain as plain
    from .names import get
    from .names import get_all as get_all
    from .of_losses import (
        BinaryCrossentropy,
        CategoricalCrossentropy,
        CategoricalHinge,
        CosineSimilarity,
        Hinge,
        KLDivergence,
        LogCoshError,
        MeanAbsoluteError,
        MeanAbsolutePercentageError,
        MeanSquaredError,
        MeanSquaredLogarithmicError,
        Poisson,
        SparseCategoricalCrossentropy,
        SquaredHinge,
    )
    from .regression import (
        ConcordanceCorrelation,
        PearsonCorrelation,
        R2Score,
        RootMeanSquaredError,
        concordance_correlation,
        pearson_correlation,
    )

__all__ = [
    "AUC",
    "Accuracy",
    "AccuracyByShape",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "BinaryIoU",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "ConcordanceCorrelation",
    "CosineSimilarity",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Hinge",
    "IoU",
    "KLDivergence",
    "LogCoshError",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanIoU",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "OneHotIoU",
    "OneHotMeanIoU",
    "PearsonCorrelation",
    "Poisson",
    "Precision",
    "PrecisionAtRecall",
    "R2Score",
    "Recall",
    "RecallAtPrecision",
    "RootMeanSquaredError",
    "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SpecificityAtSensitivity",
    "SquaredHinge",
    "Sum",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
    "binary_accuracy",
    "categorical_accuracy",
    "concordance_correlation",
    "get",
    "pearson_correlation",
    "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
]

_OWNERS = {
    ".losses": (
        "binary_crossentropy",
        "binary_focal_crossentropy",
        "categorical_crossentropy",
        "categorical_focal_crossentropy",
        "categorical_hinge",
        "hinge",
        "huber",
        "kl_divergence",
        "log_cosh",
        "mean_absolute_error",
        "mean_absolute_percentage_error",
        "mean_squared_error",
        "mean_squared_logarithmic_error",
        "poisson",
        "sparse_categorical_crossentropy",
        "squared_hinge",
    ),
    "accuracy": (
        "Accuracy",
        "AccuracyByShape",
        "BinaryAccuracy",
        "CategoricalAccuracy",
        "SparseCategoricalAccuracy",
        "SparseTopKCategoricalAccuracy",
        "TopKCategoricalAccuracy",
        "binary_accuracy",
        "categorical_accuracy",
        "sparse_categorical_accuracy",
        "sparse_top_k_categorical_accuracy",
        "top_k_categorical_accuracy",
    ),
    "at_constraint": (
        "PrecisionAtRecall",
        "RecallAtPrecision",
        "SensitivityAtSpecificity",
        "SpecificityAtSensitivity",
    ),
    "auc": ("AUC",),
    "confusion": (
        "FalseNegatives",
        "FalsePositives",
        "Precision",
        "Recall",
        "TrueNegatives",
        "TruePositives",
    ),
    "f_score": ("F1Score", "FBetaScore"),
    "iou": ("BinaryIoU", "IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU"),
    "means": ("Mean", "MeanMetricWrapper", "Sum"),
    "metric": ("Metric", "plain"),
    "names": ("get", "get_all"),
    "of_losses": (
        "BinaryCrossentropy",
        "CategoricalCrossentropy",
        "CategoricalHinge",
        "CosineSimilarity",
        "Hinge",
        "KLDivergence",
        "LogCoshError",
        "MeanAbsoluteError",
        "MeanAbsolutePercentageError",
        "MeanSquaredError",
        "MeanSquaredLogarithmicError",
        "Poisson",
        "SparseCategoricalCrossentropy",
        "SquaredHinge",
    ),
    "regression": (
        "ConcordanceCorrelation",
        "PearsonCorrelation",
        "R2Score",
        "RootMeanSquaredError",
        "concordance_correlation",
        "pearson_correlation",
    ),
}

if not TYPE_CHECKING:  # to type checkers, every name would be there
    __getattr__, __dir__ = lazy.attach(__name__, __all__, _OWNERS)
