#!/usr/bin/env python3
"""Makes the fixtures of the tokenizer tests with Hugging Face `tokenizers` (0.23).

  make_tokenizer_fixtures.py [FOLDER]             small tokenizers and what they must give
  make_tokenizer_fixtures.py --random N FOLDER    the same with N random texts, for a long comparison

In FOLDER (default: fixtures/tokenizers beside this file):
  NAME.json    a tokenizer.json, trained here on a few lines of text
  texts.jsonl  the texts, one JSON string a line
  NAME.jsonl   for each text: "ids" (special tokens added), "bare" (if they differ), "text" and "kept":
               what decode gives without and with special tokens (left out where equal to the text);
               then lines without a text: random ids, which break UTF-8 and special tokens alike
"""

import argparse
import json
import random
import tempfile
from pathlib import Path

import sentencepiece as spm
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
from tokenizers import pre_tokenizers, processors, trainers

from tokenizer_texts import LINES, WORDS, fixed_texts, random_text

HERE = Path(__file__).resolve().parent
TINY = HERE.parent.parent / "data" / "tiny" / "tokenizer.json"

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
O200K = "|".join([
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"])
DEEPSEEK = (r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
            r"""| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+""")


def corpus(rng):
    lines = []
    for i in range(3000):
        words = [rng.choice(WORDS) for _ in range(rng.randint(3, 14))]
        if rng.random() < 0.3:
            words[0] = words[0].capitalize()
        lines.append(" ".join(words) + rng.choice([".", "!", "?", "", ",", "\n"]))
        if i % 5 == 0:
            lines.append(rng.choice(LINES))
    return lines


def trained(size, pre_tokenizer, normalizer=None, alphabet=None, special=()):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer:
        tokenizer.normalizer = normalizer
    trainer = trainers.BpeTrainer(vocab_size=size, show_progress=False, special_tokens=list(special),
                                  initial_alphabet=alphabet or [])
    tokenizer.train_from_iterator(corpus(random.Random(1)), trainer)
    return tokenizer


def byte_level(size, pre_tokenizer, **kw):
    return trained(size, pre_tokenizer, alphabet=pre_tokenizers.ByteLevel.alphabet(), **kw)


def with_model(tokenizer, **changes):
    """The tokenizer with other options of its model, through its file."""
    data = json.loads(tokenizer.to_str())
    data["model"].update(changes)
    return Tokenizer.from_str(json.dumps(data))


def gpt2():
    t = byte_level(700, pre_tokenizers.ByteLevel(add_prefix_space=False))
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    t.add_special_tokens([AddedToken("<|endoftext|>", normalized=True)])
    # the oldest form of the file: merges as strings, no type, empty strings for nothing
    data = json.loads(t.to_str())
    model = data["model"]
    del model["type"]
    model.update(unk_token="", continuing_subword_prefix="", end_of_word_suffix="",
                 merges=[" ".join(m) for m in model["merges"]])
    return data


def split_bytes(pattern):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"),
                                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def llama3():
    t = byte_level(700, split_bytes(LLAMA3))
    t.decoder = decoders.ByteLevel()
    t.add_special_tokens(["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|start_header_id|>",
                          "<|end_header_id|>"])
    bos = t.token_to_id("<|begin_of_text|>")
    t.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A $B",
                                      special_tokens=[("<|begin_of_text|>", bos)])])
    t = with_model(t, ignore_merges=True)
    data = json.loads(t.to_str())
    # words that only ignore_merges finds whole
    for word in ["Ġwonderful", "ĠStraße".encode().decode(), "12", "!!!!"]:
        data["model"]["vocab"].setdefault(word, 2000 + len(word))
    size = len(data["model"]["vocab"])
    for token, number in data["model"]["vocab"].items():
        if number >= 2000:
            data["model"]["vocab"][token] = -1
    known = {v for v in data["model"]["vocab"].values() if v >= 0}
    free = iter(i for i in range(size) if i not in known)
    renumbered = {}
    for token, number in data["model"]["vocab"].items():
        renumbered[token] = number if number >= 0 else next(free)
    data["model"]["vocab"] = renumbered
    for i, token in enumerate(data["added_tokens"]):
        token["id"] = size + i
    for special in data["post_processor"]["processors"][1]["special_tokens"].values():
        special["ids"] = [size]
    return data


def qwen2():
    t = byte_level(700, split_bytes(QWEN2), normalizer=normalizers.NFC())
    t.normalizer = normalizers.NFC()
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    t.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    t.add_tokens([AddedToken("<tool_call>", normalized=False), AddedToken("é\u0327t", normalized=True)])
    return t


def sentencepiece(size):
    t = trained(size, pre_tokenizers.Metaspace(prepend_scheme="always"))
    data = json.loads(t.to_str())
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]
    tokens += [token for token, _ in sorted(data["model"]["vocab"].items(), key=lambda item: item[1])]
    data["model"].update(vocab={token: i for i, token in enumerate(dict.fromkeys(tokens))},
                         unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    data["pre_tokenizer"] = None
    t = Tokenizer.from_str(json.dumps(data))
    t.add_special_tokens(["<unk>", "<s>", "</s>"])
    t.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(),
                                   decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return t


def llama2():
    t = sentencepiece(900)
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    data = json.loads(t.to_str())
    for token in data["added_tokens"]:
        token["normalized"] = token["content"] == "</s>"  # files of that time differ
    return data


def mistral():
    t = sentencepiece(900)
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    t.add_special_tokens(["[INST]", "[/INST]"])
    return t


def gappy():
    """Byte fallback with holes, several unknown tokens, Metaspace decoder, no template."""
    t = sentencepiece(700)
    data = json.loads(t.to_str())
    vocab = [token for token in data["model"]["vocab"] if token not in ("<0xE4>", "<0xF0>", "x", "q")]
    data["model"].update(vocab={token: i for i, token in enumerate(vocab)}, fuse_unk=False)
    data["model"]["merges"] = [m for m in data["model"]["merges"]
                               if all(s in vocab for s in [*m, "".join(m)])]
    data["post_processor"] = None
    t = Tokenizer.from_str(json.dumps(data))
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    t.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="always")])
    return t


def trained_unigram(pre_tokenizer, normalizer=None):
    t = Tokenizer(models.Unigram())
    t.pre_tokenizer = pre_tokenizer
    if normalizer:
        t.normalizer = normalizer
    trainer = trainers.UnigramTrainer(vocab_size=600, show_progress=False, unk_token="<unk>",
                                      special_tokens=["<pad>", "</s>", "<unk>"])
    t.train_from_iterator(corpus(random.Random(1)), trainer)
    return t


def charsmap():
    """A small precompiled table of SentencePiece's: what it makes of a few rules."""
    rules = {"ﬁ": "fi", "①": "1", "Ａ": "A", "㎏": "kg", "e\u0301": "\u00e9", "\t": " ", "\u00a0": " ",
             "\u3000": " ", "\u200b": "", "½": "1/2", "👍": "+", "각": "gag"}
    with tempfile.TemporaryDirectory() as folder:
        tsv = Path(folder) / "rules.tsv"
        code_points = lambda text: " ".join(f"{ord(c):X}" for c in text)
        tsv.write_text("".join(f"{code_points(a)}\t{code_points(b)}\n" for a, b in rules.items()))
        spm.SentencePieceTrainer.train(
            sentence_iterator=iter(corpus(random.Random(1))), model_prefix=f"{folder}/m", vocab_size=300,
            normalization_rule_tsv=str(tsv), minloglevel=2, hard_vocab_limit=False)
        model = sentencepiece_model_pb2.ModelProto()
        model.ParseFromString((Path(folder) / "m.model").read_bytes())
    return model.normalizer_spec.precompiled_charsmap


def t5():
    """SentencePiece's unigram model with its own normalizer, as encoders and older models have it."""
    t = trained_unigram(pre_tokenizers.Metaspace(prepend_scheme="always"))
    t.normalizer = normalizers.Sequence([normalizers.Precompiled(charsmap()),
                                         normalizers.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(),
                                               pre_tokenizers.Metaspace(prepend_scheme="always")])
    t.decoder = decoders.Metaspace(prepend_scheme="always")
    t.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", t.token_to_id("</s>"))])
    return t


def unigram():
    """A unigram model with byte fallback, on whole texts."""
    t = trained_unigram(pre_tokenizers.Metaspace(prepend_scheme="always"))
    data = json.loads(t.to_str())
    data["model"]["vocab"] += [[f"<0x{i:02X}>", -20.0] for i in range(256) if i != 0xF1]
    data["model"]["byte_fallback"] = True
    data["pre_tokenizer"] = None
    t = Tokenizer.from_str(json.dumps(data))
    t.normalizer = normalizers.Replace(" ", "▁")
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return t


FLAGS = ["single_word", "lstrip", "rstrip", "normalized"]


def added():
    """One added token for each combination of flags, on lower-cased text."""
    t = byte_level(450, pre_tokenizers.ByteLevel(add_prefix_space=True))
    t.normalizer = normalizers.Lowercase()
    t.decoder = decoders.ByteLevel()
    for i in range(16):
        flags = {flag: bool(i >> bit & 1) for bit, flag in enumerate(FLAGS)}
        token = AddedToken(f"TOK{i:X}", **flags)
        (t.add_special_tokens if i % 3 == 0 else t.add_tokens)([token])
    t.add_tokens([AddedToken("  ", rstrip=True, normalized=False), AddedToken("TOK1TOK", normalized=False),
                  AddedToken("ÄB", normalized=True), AddedToken("mask", lstrip=True, normalized=False)])
    t.post_processor = processors.RobertaProcessing(("TOK0", t.token_to_id("TOK0")),
                                                    ("TOK3", t.token_to_id("TOK3")))
    return t


def o200k():
    t = byte_level(700, split_bytes(O200K))
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.BertProcessing(("a", t.token_to_id("a")), ("b", t.token_to_id("b")))
    return t


def deepseek():
    t = byte_level(600, pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"\p{N}{1,3}"), "isolated"),
        pre_tokenizers.Split(Regex("[一-龥\u3040-ゟ゠-ヿ]+"), "isolated"),
        pre_tokenizers.Split(Regex(DEEPSEEK), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]))
    t.decoder = decoders.ByteLevel()
    return t


def bloom():
    t = byte_level(600, split_bytes(" ?[^(\\s|[.,!?…。，、।۔،])]+"))
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    t.add_special_tokens(["<unk>", "<s>", "</s>", "<pad>"])
    return t


def falcon():
    t = byte_level(500, pre_tokenizers.Sequence([
        pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.ByteLevel(add_prefix_space=False),
        pre_tokenizers.Digits(), pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), "isolated")]))
    t.decoder = decoders.ByteLevel()
    t.add_special_tokens([">>TITLE<<", "<|endoftext|>"])
    return t


def gemma():
    t = sentencepiece(700)
    t.normalizer = normalizers.Replace(" ", "▁")
    t.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(),
                                   decoders.Fuse()])
    t.add_tokens([AddedToken("\n\n", normalized=False), AddedToken("▁▁▁", normalized=False)])
    return t


def normal():
    """The other normalizers and simple pre-tokenizers, characters as tokens, no decoder."""
    t = trained(400, pre_tokenizers.Whitespace(), normalizer=normalizers.NFKD(), special=["[UNK]"])
    t.normalizer = normalizers.Sequence([
        normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase(),
        normalizers.Strip(), normalizers.Replace(Regex(r"\d{4,}"), "#"), normalizers.Replace("ss", "ß")])
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(),
                                               pre_tokenizers.Punctuation("contiguous"),
                                               pre_tokenizers.Digits(individual_digits=True)])
    return with_model(t, unk_token="[UNK]", fuse_unk=True)


def splits():
    """All behaviours of Split, on characters, with sub-word affixes and unknown characters dropped."""
    t = trained(300, pre_tokenizers.Whitespace())
    t.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.NFD()])
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(" ", "merged_with_next"),
        pre_tokenizers.Split(Regex("[,.;!?]"), "merged_with_previous"),
        pre_tokenizers.Split(Regex(r"\w+"), "contiguous", invert=True),
        pre_tokenizers.Split(Regex(r"[-_]"), "removed"),
        pre_tokenizers.Split(Regex(r"\b"), "isolated"),
        pre_tokenizers.Digits(), pre_tokenizers.Whitespace()])
    t.decoder = decoders.Sequence([decoders.Replace(Regex("a+"), "A"), decoders.Strip("e", 1, 0),
                                   decoders.Fuse()])
    return t


TOKENIZERS = [gpt2, llama3, qwen2, llama2, mistral, gappy, added, o200k, deepseek, bloom, falcon, gemma,
              normal, splits, t5, unigram]


def line_of(tokenizer, text, ids):
    line = {"ids": ids}
    if text is not None:
        bare = tokenizer.encode(text, add_special_tokens=False).ids
        if bare != ids:
            line["bare"] = bare
    for key, skip in [("text", True), ("kept", False)]:
        decoded = tokenizer.decode(ids, skip_special_tokens=skip)
        if decoded != text:
            line[key] = decoded
    return json.dumps(line, ensure_ascii=False, separators=(",", ":"))


def save(folder, name, tokenizer, texts, random_ids):
    rng = random.Random(name)
    lines = [line_of(tokenizer, text, tokenizer.encode(text).ids) for text in texts]
    size = max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1
    for _ in range(random_ids):
        ids = [rng.randrange(size + 3) for _ in range(rng.randint(1, 12))]
        lines.append(line_of(tokenizer, None, ids))
    # str.splitlines() and friends stop at more than \n: the reader must not
    (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=HERE / "fixtures" / "tokenizers")
    parser.add_argument("--random", type=int, default=260, help="random texts, and ids for a quarter of them")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these tokenizers (trainers do not repeat themselves)")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(7)
    texts = fixed_texts() + [random_text(rng) for _ in range(args.random)]
    lines = [json.dumps(text, ensure_ascii=False) for text in texts]
    (args.folder / "texts.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for make in TOKENIZERS:
        if args.only and make.__name__ not in args.only:
            continue
        made = make()
        data = made if isinstance(made, dict) else json.loads(made.to_str())
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        name = make.__name__
        (args.folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        save(args.folder, name, Tokenizer.from_str(text), texts, max(args.random // 4, 30))
    if args.only:
        return
    save(args.folder, "tiny", Tokenizer.from_file(str(TINY)), texts, 30)


if __name__ == "__main__":
    main()
