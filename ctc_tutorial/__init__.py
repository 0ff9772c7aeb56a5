"""Helpers of the tutorial "CTC in Keras". Copy the files you need into a folder of your own.

The names below load their module when they are first used, so importing the package is cheap.

Two rules hold in all of them. *Labels* are a batch's class ids, *ids* those of one utterance. And
the blank: whatever computes on logits alone (decoding, lattice, losses) takes `blank_index`, by
default the last class; whatever knows an alphabet or wires a model has it as the last class,
always.
"""

from importlib import import_module

__version__ = "0.2.0"

_ROOMS = {
    "text": "Alphabet",
    "speech": "mfcc_features read_wav",
    "batches": "pad_batch pad_features sparse_labels",
    "datasets": "dense_labels repeat_batch",
    "feasibility": "check_feasible infeasible_reason",
    "bucketing": "bucketed_dataset bucketed_stream",
    "layers": "CTCLossLayer sparse_op_loss",
    "metrics": "LabelErrorRate",
    "portable": "PortableCTCLossLayer",
    "losses": "ctc_loss",
    "compat": "ctc_batch_cost ctc_decode ctc_label_dense_to_sparse",
    "models": "CTCModel build_models",
    "encoders": "audio_encoder crnn_encoder image_encoder length_mask lstm_encoder strided_length",
    "encoder_check": "check_encoder",
    "recurrent": "LSTM",
    "augmentation": "SpecAugment add_noise stretch_time",
    "decoding": "greedy_decode",
    "error_rates": "label_error_rate word_error_rate",
    "serving": "GreedyStream decode_in_processes",
    "beam_search": "Hypothesis beam_search_decode",
    "hotwords": "hot_words",
    "lattice": "forced_align forward_backward spans_to_seconds",
    "aligner": "middle_frames share_in_words train_aligner",
    "diagnose": "find_faults",
    "mismatch": "explain_mismatch",
    "mistakes": "confusion_matrix edit_path most_confused plot_confusion_matrix",
    "plots": "plot_alignment plot_emissions plot_features plot_history plot_lattice",
    "picture": "plot_utterance",
    "training": "DecodedSamples KeepBest RepeatableDropout completed_epochs lesson_optimizer",
    "records": "read_records write_records",
    "distributed": "SumThenClip train_in_rounds",
    "transcripts": "Transcript find_transcripts read_transcripts",
    "cleaning": "clean_texts",
    "recordings": "read_recording resample",
    "folders": "Recordings load_recordings",
    "splits": "split_by_speaker",
    "reader": "Reading characters_and_rate read_best_path reading_model",
    "export": "export_model streaming_model text_model",
    "data.sentence": "Utterance fetch_ldc93s1 load_sentence load_word_times make_lesson_pair",
    "data.digit_strings": "load_digit_images make_digit_strings",
    "data.captchas": "make_captchas",
    "data.spoken_numbers": "compose_numbers load_spoken_words make_spoken_numbers",
    "data.people": "fetch_people_words make_people_numbers",
    "data.practice_folder": "load_voices make_practice_folder",
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names.split()}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
