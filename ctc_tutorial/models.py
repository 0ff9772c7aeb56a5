# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""Two models on one set of weights, to train and to predict. Taught in notebook 04_two_models.

Copy layers.py (with its losses.py and metrics.py) with this file.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from .layers import CTCLossLayer


def build_models(
    encoder_fn: Callable[..., tuple[Any, Any]],
    num_features: int,
    num_classes: int,
    loss_layer: keras.layers.Layer | None = None,
    seed: int | None = None,
    **encoder_options: Any,
) -> tuple[keras.Model, keras.Model]:
    """Wire an encoder and a dense layer into two models that share all weights.

    Args:
        encoder_fn: called as encoder_fn(features, lengths, seed=seed, **encoder_options), returns
            (hidden, lengths), as those of encoders.py do.
        num_features: F, numbers per frame.
        num_classes: C, the blank (last class) included.
        loss_layer: called as loss_layer(logits, labels, logit_length), returns the logits; by
            default `CTCLossLayer()`.
        seed: of initial weights and dropout; by default they differ from call to call.

    Returns:
        train_model: inputs by name, features [B, T, F], feature_length [B] and labels (sparse ids
            [B, L]); output the logits [B, T', C]. Compile it without a loss.
        predict_model: inputs features and feature_length; outputs by name, logits [B, T', C] and
            logit_length [B].

    >>> def no_encoder(features, lengths, seed=None):
    ...     return features, lengths
    >>> train_model, predict_model = build_models(no_encoder, num_features=13, num_classes=28)
    >>> batch = {"features": np.ones((2, 7, 13)), "feature_length": np.array([7, 4])}
    >>> outputs = predict_model.predict(batch, verbose=0)
    >>> outputs["logits"].shape, outputs["logit_length"].tolist()
    ((2, 7, 28), [7, 4])
    """
    features = keras.Input((None, num_features), name="features")
    feature_length = keras.Input((), dtype="int32", name="feature_length")
    labels = keras.Input((None,), dtype="int32", sparse=True, name="labels")

    of_encoder, of_dense = np.random.default_rng(seed).integers(2**31, size=2).tolist()
    hidden, logit_length = encoder_fn(features, feature_length, seed=of_encoder, **encoder_options)
    initializer = keras.initializers.TruncatedNormal(stddev=0.1, seed=of_dense)
    logits = keras.layers.Dense(num_classes, kernel_initializer=initializer, name="logits")(hidden)

    passed_through = (loss_layer or CTCLossLayer())(logits, labels, logit_length)
    inputs = {"features": features, "feature_length": feature_length}
    train_model = keras.Model({**inputs, "labels": labels}, passed_through)
    return train_model, keras.Model(inputs, {"logits": logits, "logit_length": logit_length})
