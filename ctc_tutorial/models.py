# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""Models that train with CTC: two on one set of weights, or one with a loss of its own.

Taught in notebooks 04_two_models and 02_the_add_loss_layer. Copy layers.py (with its losses.py and
metrics.py) with this file.
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
    pair = encoder_fn(features, feature_length, seed=of_encoder, **encoder_options)
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise ValueError(f"encoder_fn must return (hidden, lengths), not {pair!r}")
    hidden, logit_length = pair
    initializer = keras.initializers.TruncatedNormal(stddev=0.1, seed=of_dense)
    logits = keras.layers.Dense(num_classes, kernel_initializer=initializer, name="logits")(hidden)

    passed_through = (loss_layer or CTCLossLayer())(logits, labels, logit_length)
    inputs = {"features": features, "feature_length": feature_length}
    train_model = LabelsAsInput({**inputs, "labels": labels}, passed_through)
    return train_model, keras.Model(inputs, {"logits": logits, "logit_length": logit_length})


@keras.saving.register_keras_serializable(package="ctc_tutorial")
class LabelsAsInput(keras.Model):
    """A model whose loss a layer adds: it refuses what Keras would silently ignore.

    >>> LabelsAsInput(*[keras.Input((3,))] * 2).fit(np.ones((2, 3)), sample_weight=np.ones(2))
    Traceback (most recent call last):
    ValueError: y and sample_weight do not reach a loss that a layer adds: make them inputs of it
    """

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        _refuse(kwargs.get("y"), kwargs.get("sample_weight"))
        _refuse_class_weight(kwargs)
        return super().fit(*args, **kwargs)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        _refuse(kwargs.get("y"), kwargs.get("sample_weight"))
        return super().evaluate(*args, **kwargs)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, **kwargs
    ) -> Any:
        _refuse(y, sample_weight)  # where a dataset or train_on_batch brings them
        _refuse_loss(self)
        return super().compute_loss(x, y, y_pred, sample_weight, **kwargs)

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        try:
            return super().compute_metrics(x, y, y_pred, sample_weight)
        except (AttributeError, TypeError, ValueError) as error:  # None has no shape, and so on
            raise ValueError(
                f"a metric of compile gets no y here ({error}): leave it out, the layer reports ler"
            ) from error


def _refuse(y, sample_weight):
    if y is not None or sample_weight is not None:
        raise ValueError(
            "y and sample_weight do not reach a loss that a layer adds: make them inputs of it"
        )


def _refuse_loss(model):  # late: Keras compiles no loaded model that has a compile of its own
    if getattr(model, "loss", None) is not None:
        raise ValueError("the model has its loss, from a layer: leave loss out of compile")


def _refuse_class_weight(kwargs):
    if kwargs.get("class_weight") is not None:
        raise ValueError("class_weight has no meaning for CTC: weigh utterances, by sample_weight")


@keras.saving.register_keras_serializable(package="ctc_tutorial")
class CTCModel(keras.Model):
    """A functional model that computes CTC from y: one model to train and to predict.

    Its output is the logits [B, T, C], and y = (labels, logit_length); or it is a dict of logits
    and logit_length, as that of a predict model of `build_models`, and y = labels: so
    CTCModel(predict_model.input, predict_model.output) is the one model in place of two. Labels are
    sparse or ragged ids [B, L], or dense ones: then y ends with their lengths. Loss, metric `ler`
    and what happens to utterances that CTC can't align: as with the `CTCLossLayer` that it takes as
    `loss_layer`. `sample_weight` counts in both. Needs Keras 3.12 or newer (3.8 loses the layer).
    Keras's `clone_model` would give the clone a loss layer with all defaults: take
    `CTCModel.from_config(model.get_config())`.

    >>> x = keras.Input((None, 13))
    >>> model = CTCModel(x, keras.layers.Dense(28)(x))
    >>> model.compile("sgd")
    >>> labels = keras.ops.convert_to_tensor([[8, 9], [8, 0]])
    >>> y = labels, np.array([7, 4]), np.array([2, 1])  # ids, frames, and how many ids
    >>> list(model.fit(np.ones((2, 7, 13)), y, verbose=0).history)
    ['ler', 'loss']
    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any) -> None:
        loss_layer = kwargs.pop("loss_layer", None)
        super().__init__(inputs=inputs, outputs=outputs, name=name, **kwargs)
        self.loss_layer = loss_layer or CTCLossLayer()

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        _refuse_class_weight(kwargs)  # Keras would look weights up by the first ids
        return super().fit(*args, **kwargs)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, **kwargs
    ) -> Any:
        _refuse_loss(self)
        labels, *lengths = y if isinstance(y, tuple | list) and y else (y,)
        if isinstance(y_pred, dict):
            y_pred, lengths = y_pred["logits"], [y_pred["logit_length"], *lengths]
        if labels is None or isinstance(labels, dict) or not 1 <= len(lengths) <= 2:
            raise ValueError("y must be (labels, logit_length), or with dense labels their lengths")
        # Keras repeats the weights for every part of y.
        weights = keras.tree.flatten(sample_weight)[0]
        self.loss_layer(y_pred, labels, *lengths, sample_weight=weights)
        return super().compute_loss(x, None, y_pred, None, **kwargs)  # the sum of self.losses

    def get_config(self) -> dict:
        loss_layer = keras.saving.serialize_keras_object(self.loss_layer)
        return {**super().get_config(), "loss_layer": loss_layer}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> "CTCModel":
        loss_layer = keras.saving.deserialize_keras_object(config["loss_layer"])
        return super().from_config({**config, "loss_layer": loss_layer}, custom_objects)
