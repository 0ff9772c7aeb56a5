"""Two models on one set of weights, to train and to predict. Taught in notebook 04_two_models.

Copy layers.py and recurrent.py with this file.
"""

try:
    import tensorflow  # noqa: F401 - for an error that names the package to install
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "this module needs TensorFlow: pip install tensorflow-cpu (or tensorflow)"
    ) from error
import keras

try:
    if __package__:
        from .layers import CTCLossLayer
        from .recurrent import LSTM
    else:
        from layers import CTCLossLayer
        from recurrent import LSTM
except ImportError as error:
    raise ImportError("copy layers.py and recurrent.py beside models.py, too") from error


def build_models(
    num_features: int,
    num_classes: int,
    units: int = 50,
    bidirectional: bool = False,
    loss_layer: keras.layers.Layer | None = None,
    seed: int | None = None,
) -> tuple[keras.Model, keras.Model]:
    """Wire one LSTM and one dense layer into two models that share all weights.

    Args:
        num_features: F, numbers per frame.
        num_classes: C, the blank (last class) included.
        units: LSTM units per direction.
        bidirectional: read the frames both ways. Frames of zeros are masked then, so that the
            backward direction starts at each utterance's own end: pad with zeros.
        loss_layer: called as loss_layer(logits, labels, feature_length), returns the logits; by
            default `CTCLossLayer()`.
        seed: of the initial weights; by default they differ from call to call.

    Returns:
        train_model: inputs `features` [B, T, F], `labels` (sparse ids [B, L]) and
            `feature_length` [B]; output the logits [B, T, C]. Compile it without a loss.
        predict_model: input `features` [B, T, F] alone; output the logits [B, T, C].
    """
    features = keras.Input((None, num_features), name="features")
    labels = keras.Input((None,), sparse=True, dtype="int32", name="labels")
    feature_length = keras.Input((), dtype="int32", name="feature_length")

    encoder = LSTM(  # keras.layers.LSTM, faster
        units,
        return_sequences=True,
        kernel_initializer=keras.initializers.GlorotUniform(seed=seed),
        recurrent_initializer=keras.initializers.Orthogonal(seed=seed),
    )
    if bidirectional:
        hidden = keras.layers.Bidirectional(encoder)(keras.layers.Masking()(features))
    else:
        # Reading forwards, padding comes too late to change anything: no mask, less time.
        hidden = encoder(features)
    initializer = keras.initializers.TruncatedNormal(stddev=0.1, seed=seed)
    logits = keras.layers.Dense(num_classes, kernel_initializer=initializer, name="logits")(hidden)

    loss_layer = loss_layer or CTCLossLayer()
    passed_through = loss_layer(logits, labels, feature_length)
    train_model = keras.Model([features, labels, feature_length], passed_through)
    return train_model, keras.Model(features, logits)


def lesson_optimizer(steps: int) -> keras.optimizers.Optimizer:
    """The optimizer that learns the two utterances in `steps` updates, 400 to be sure.

    SGD with momentum, as in 2020, at a learning rate 40 times larger, which clipping the global
    gradient norm makes safe, and which falls to zero along a cosine (benchmarks/recipe.md).
    """
    rate = keras.optimizers.schedules.CosineDecay(0.2, steps)
    return keras.optimizers.SGD(rate, momentum=0.9, global_clipnorm=5.0)
