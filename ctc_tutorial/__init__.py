"""Helpers of the tutorial "CTC in Keras". Each module stands alone and can be copied.

The names below load their module when they are first used, so importing the package is cheap.
"""

from importlib import import_module

_HOME = {
    "Alphabet": "text",
    "Utterance": "speech",
    "bundled_utterance": "speech",
    "bundled_word_times": "speech",
    "ldc93s1_utterance": "speech",
    "mfcc_features": "speech",
    "read_wav": "speech",
    "bucketed_dataset": "batches",
    "check_feasible": "batches",
    "pad_features": "batches",
    "repeat_batch": "batches",
    "sparse_labels": "batches",
    "CTCLossLayer": "layers",
    "build_models": "models",
    "lesson_optimizer": "models",
    "LSTM": "recurrent",
    "audio_encoder": "encoders",
    "build_encoder_models": "encoders",
    "image_encoder": "encoders",
    "strided_length": "encoders",
    "read_transcripts": "transcripts",
    "DecodedSamples": "training",
    "RepeatableDropout": "training",
    "completed_epochs": "training",
    "read_records": "records",
    "write_records": "records",
    "SumThenClip": "distributed",
    "train_in_rounds": "distributed",
    "ctc_loss": "losses",
    "middle_frames": "aligner",
    "share_in_words": "aligner",
    "train_aligner": "aligner",
    "align": "lattice",
    "forward_backward": "lattice",
    "spans_to_seconds": "lattice",
    "beam_search_decode": "decoding",
    "decode_in_processes": "decoding",
    "greedy_decode": "decoding",
    "label_error_rate": "decoding",
    "word_error_rate": "decoding",
    "confusions": "mistakes",
    "edit_path": "mistakes",
    "plot_confusions": "mistakes",
    "plot_alignment": "plots",
    "plot_emissions": "plots",
    "plot_features": "plots",
    "plot_history": "plots",
    "plot_lattice": "plots",
    "plot_utterance": "picture",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
