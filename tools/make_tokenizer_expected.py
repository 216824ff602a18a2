#!/usr/bin/env python3
"""Writes the tokenizers' fixtures: small vocabularies and what the reference libraries make of a corpus.

Byte-level vocabularies are trained and applied with `tokenizers`, SentencePiece ones with `sentencepiece`; the demo
model's vocabulary is read with Transformers. Texts of training and corpus are in tokenizer_texts.py.

usage: make_tokenizer_expected.py [DEMO_MODEL.gguf]

Files written:
  tests/text/data/corpus.json      a list of texts
  tests/text/data/<name>.json      one vocabulary, one id list per text of the corpus
  tests/models/data/demo_tokens.json   id lists of the corpus for the demo model, if it is given
"""

import io
import json
import pathlib
import sys
import unicodedata

import sentencepiece
import tokenizers
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, models, normalizers, pre_tokenizers, trainers

from tokenizer_texts import CORPUS, TRAINING

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = ROOT / "tests" / "text" / "data"
DEMO_DATA = ROOT / "tests" / "models" / "data"

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
          r"\s+(?!\S)|\s+")
BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
GPT2 = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)


def split(pattern):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), BYTES])


# Name in GGUF: the reference's pre-tokenizer, and whether it takes whole tokens first.
PRE_TOKENIZERS = {
    "gpt-2": (GPT2, False),
    "llama-bpe": (split(LLAMA3), True),
    "smollm": (pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), GPT2]), False),
    "qwen2": (split(LLAMA3.replace("{1,3}", "")), False),
}
COMPOSED = {"qwen2"}  # whose texts are brought to Normalization Form C first
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
ADDED = ["<tool>", "<tool>>", "\n\n\n\n", "ünï"]


def byte_level_tokenizer(pre):
    pre_tokenizer, ignore_merges = PRE_TOKENIZERS[pre]
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    trainer = trainers.BpeTrainer(vocab_size=1200, special_tokens=SPECIAL, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(TRAINING, trainer)
    if ignore_merges:
        # Whole words that no merge leads to.
        model = json.loads(tokenizer.to_str())["model"]
        vocab = model["vocab"]
        for word in ["Ġunmergeable", "Zyx", "Ġ!?!"]:
            vocab[word] = len(vocab)
        tokenizer.model = models.BPE(vocab=vocab, merges=[tuple(m) for m in model["merges"]], ignore_merges=True)
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in ADDED])
    if pre in COMPOSED:
        tokenizer.normalizer = normalizers.NFC()
    return tokenizer


def byte_level_vocabulary(pre, tokenizer):
    size = tokenizer.get_vocab_size()
    added = tokenizer.get_added_tokens_decoder()
    kinds = [NORMAL] * size
    for token_id, token in added.items():
        kinds[token_id] = CONTROL if token.special else USER_DEFINED
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    vocabulary = {"family": "gpt2", "pre": pre, "tokens": [tokenizer.id_to_token(i) for i in range(size)],
                  "kinds": kinds, "merges": [" ".join(m) for m in merges]}
    if pre in COMPOSED:  # and the texts of the corpus that this changes
        composed = {str(i): unicodedata.normalize("NFC", t) for i, t in enumerate(CORPUS)}
        vocabulary |= {"nfc": True, "composed": {i: t for i, t in composed.items() if t != CORPUS[int(i)]}}
    return vocabulary


def encode_both(tokenizer, texts):
    """Ids with special tokens read as text, and, where they differ, with special tokens found."""
    tokenizer.encode_special_tokens = True
    plain = [tokenizer.encode(t, add_special_tokens=False).ids for t in texts]
    tokenizer.encode_special_tokens = False
    special = [tokenizer.encode(t, add_special_tokens=False).ids for t in texts]
    return {"ids": plain, "special": {str(i): s for i, (p, s) in enumerate(zip(plain, special)) if p != s}}


# Options of the trainer beside the common ones, and pieces that become unused afterwards.
SENTENCEPIECE = {
    "spm-bytes": dict(byte_fallback=True, add_dummy_prefix=True, remove_extra_whitespaces=False),
    "spm-unknown": dict(byte_fallback=False, add_dummy_prefix=True, remove_extra_whitespaces=True),
    "spm-unused": dict(byte_fallback=True, add_dummy_prefix=False, remove_extra_whitespaces=False),
}


def sentencepiece_model(name):
    blob = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(line for text in TRAINING for line in text.split("\n") if line), model_writer=blob,
        model_type="bpe", vocab_size=1000, hard_vocab_limit=False, character_coverage=0.98,
        normalization_rule_name="identity", user_defined_symbols=["<tool>", "<tool>>", "\n\n", "▁▁▁▁", "abc▁", "1"],
        control_symbols=["<|user|>", "<|end|>"], minloglevel=2, num_threads=1, **SENTENCEPIECE[name])
    model = sentencepiece_model_pb2.ModelProto.FromString(blob.getvalue())
    if name == "spm-unused":
        normal = [p for p in model.pieces if p.type == NORMAL and len(p.piece) > 1]
        for piece in normal[::5]:
            piece.type = UNUSED
    return model


def sentencepiece_vocabulary(model):
    return {"family": "llama", "tokens": [p.piece for p in model.pieces], "kinds": [p.type for p in model.pieces],
            "scores": [p.score for p in model.pieces], "unk": model.trainer_spec.unk_id,
            "add_space_prefix": model.normalizer_spec.add_dummy_prefix,
            "remove_extra_whitespaces": model.normalizer_spec.remove_extra_whitespaces}


def sentencepiece_processor(model):
    return sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())


def demo_tokenizer(path):
    from transformers import AutoTokenizer

    path = pathlib.Path(path)
    tokenizer = AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name).backend_tokenizer
    tokenizer.pre_tokenizer = PRE_TOKENIZERS["smollm"][0]  # which Transformers does not read from the file
    return tokenizer


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


def main():
    write(DATA / "corpus.json", CORPUS)
    for pre in PRE_TOKENIZERS:
        tokenizer = byte_level_tokenizer(pre)
        write(DATA / f"{pre}.json", byte_level_vocabulary(pre, tokenizer) | encode_both(tokenizer, CORPUS))
    for name in SENTENCEPIECE:
        model = sentencepiece_model(name)
        processor = sentencepiece_processor(model)
        ids = [processor.encode(t) for t in CORPUS]
        write(DATA / f"{name}.json", sentencepiece_vocabulary(model) | {"ids": ids,
              "decoded": [processor.decode(i) for i in ids]})
    if len(sys.argv) > 1:
        write(DEMO_DATA / "demo_tokens.json", encode_both(demo_tokenizer(sys.argv[1]), CORPUS))


if __name__ == "__main__":
    main()
