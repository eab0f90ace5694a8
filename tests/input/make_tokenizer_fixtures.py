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
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
from tokenizers import pre_tokenizers, processors, trainers

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

WORDS = """the of and to in a is that it was for on are with as his they at be this from have or by one had
not but what all were when we there can an your which their said if do will each about how up out them then
she many some so these would other into has more her two like him see time could no make than first been its
who now people my made over did down only way find use may water long little very after words called just
where most know get through back much go good new write our me man too any day same right look think also
around another came come work three must because does part even place well such here take why help put years
don't isn't I'm you'll we've they'd it's 2024 1,000 3.14 x = y + 1; return 0; if (a) { b(); } #define""".split()
LINES = ["Der Fluss fließt über die Brücke; Größe zählt.", "El niño comió piñas y cañas en mañana.",
         "Où est l'été à Noël, garçon ?", "Привет, мир! Как дела у тебя?", "你好，世界。今天天气很好。",
         "日本語のテキストです。カタカナ", "مرحبا بالعالم كيف حالك", "שלום עולם", "안녕하세요 세계",
         "नमस्ते दुनिया", "😀 😃 👍🏽 👨‍👩‍👧‍👦 🇩🇪", "    indented\n\tcode\n\n\n        deeper", "a  b   c    d",
         "naïve café résumé e\u0301 a\u0308"]


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
              normal, splits]


def fixed_texts():
    texts = ["", " ", "  ", "\n", "a", "Hello world", " Hello  world ", "Hello\nworld\r\n\r\n  x\t\ty \n z",
             "'s 'S 'LL 'll 'Re're 'VE 'D don't DON'T 'ſ ’s", "a" * 300, " " * 257, "\n" * 100, "ab" * 150,
             " \n" * 60, "\t \t  \n\n \t", "1234567890 12 123 1234 1,234.56 ١٢٣ ½ Ⅷ ² ³", "x\0y\0\0z",
             "\u00a0\u1680\u180e\u2003\u2028\u2029\u202f\u205f\u3000\ufeff\u200b x\u0085y",
             "e\u0301 é a\u0308\u0323 ä\u0323 \u0323\u0308 \u1e69 s\u0323\u0307 \u212b \u2126 ﬁ ㎏ ① \u0344",
             "각 \u1100\u1161\u11a8 \u1100\u1161 \uac00\u11a8", "漢字かな交じり文テスト。", "你好世界，今天天气很好！",
             "👨‍👩‍👧‍👦 👍🏽 🇩🇪🇫🇷 ❤️ 🏴\U000e0067\U000e0062\U000e007f", "مرحبا بالعالم ١٢٣", "שָׁלוֹם עוֹלָם",
             "नमस्ते दुनिया क्षत्रिय", "สวัสดีชาวโลก", "İstanbul ıI ẞß Ǆǅǆ ΑΣ ς", "<0x41> <0x0A> <unk> <s> </s> ▁ ▁▁a",
             "word<|endoftext|>word <|endoftext|> x", "<|begin_of_text|>a<|eot_id|>\n\n<|start_header_id|>",
             "<|im_start|>user\nHi<|im_end|>\n<tool_call>x</tool_call>", "[INST] Hi [/INST] there [INST][INST]",
             "<s>a</s> <s> a </s>  <s><s></s>b", "mask mask  mask\t mask xmaskx   ", "a    b  c mask   d      ",
             "TOK1TOK1 TOK1TOK TOKTOK2", "äb ÄB Äb aÄB a\u0308b e\u0301\u0327t é\u0327t ȩ\u0301t",
             "def f(x):\n    return x*2  # comment\n\n\tif x:\n\t\tpass\n", "http://a.b/c?d=e&f=g#h", "$1,000.00 (50%)",
             "if(a&&b||!c){d[0]=e->f;}", "----____----", "...,,,;;;!!!???", "\u0300\u0301abc\u0300", "wonderful 12 !!!!",
             "\U0010ffff\U000f0000\ue000\ufffd\ufffe", "\x01\x02\x1f\x7f\x80\x9f", "a\rb\r\nc\n\rd",
             "\U0001d400\U0001d7d8 \U00031350 \U0002ebf0 \U00010d40 \U0001e030 \ua7cb \u1c89"]
    for i in range(16):
        texts.append(f"TOK{i:X} aTOK{i:X}b  TOK{i:X}  tok{i:X}\n TOK{i:X}TOK{i:X} \t")
    for first in range(0, 0x11000, 0x800):  # all planes, eight characters of each half row
        chars = [chr(first * 16 + step * 0x1000 + 0x41 * step) for step in range(8)]
        texts.append(" ".join(c for c in chars if not "\ud800" <= c <= "\udfff"))
    return texts


POOLS = [
    lambda r: r.choice(WORDS), lambda r: " " * r.choice([1, 1, 1, 1, 2, 3, 7]), lambda r: " " + r.choice(WORDS),
    lambda r: r.choice(["\n", "\r\n", "\t", "\n\n", " \n", "\r", "\v", "\u00a0", "\u3000", "\u2028", "\u0085"]),
    lambda r: str(r.randint(0, 10 ** r.randint(1, 8))), lambda r: r.choice(".,;:!?'\"()[]{}<>-_/\\|@#$%^&*+=~`"),
    lambda r: r.choice(["'s", "'S", "'LL", "'re", "'ve", "'T", "'x", "’s"]), lambda r: r.choice(LINES)[:r.randint(1, 9)],
    lambda r: chr(r.choice([r.randrange(0x20), r.randrange(0x80), r.randrange(0x80, 0x300), r.randrange(0x300, 0x370)])),
    lambda r: chr(r.choice([r.randrange(0x370, 0xd800), r.randrange(0xe000, 0x10000), r.randrange(0x10000, 0x20000)])),
    lambda r: chr(r.randrange(0x10000, 0x110000)), lambda r: chr(r.randrange(0x300, 0x345)) * r.randint(1, 3),
    lambda r: chr(r.choice([r.randrange(0x4e00, 0x9fff), r.randrange(0xac00, 0xd7a4), r.randrange(0x1f300, 0x1f700)])),
    lambda r: r.choice(["\u200d", "\ufe0f", "\u0323", "\u0308", "\u1161", "\u11a8", "▁", "<0x", "0A>", "Ġ"]),
    lambda r: r.choice(["<s>", "</s>", "<unk>", "[INST]", "<|endoftext|>", "<|im_end|>", "<|eot_id|>", "mask", "ÄB"]),
    lambda r: r.choice(["TOK", "tok", "Tok"]) + r.choice("0123456789ABCDEFabcdef"),
    lambda r: r.choice(["a", "aa", "ab", "the", "ss", "\u0130", "\u1e9e"]) * r.randint(1, 12),
]


def random_text(rng):
    pools = rng.sample(POOLS, rng.randint(1, 6)) if rng.random() < 0.7 else POOLS
    text = "".join(rng.choice(pools)(rng) for _ in range(rng.randint(1, 14)))
    return "".join(c for c in text if not "\ud800" <= c <= "\udfff")


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
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(7)
    texts = fixed_texts() + [random_text(rng) for _ in range(args.random)]
    lines = [json.dumps(text, ensure_ascii=False) for text in texts]
    (args.folder / "texts.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for make in TOKENIZERS:
        made = make()
        data = made if isinstance(made, dict) else json.loads(made.to_str())
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        name = make.__name__
        (args.folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        save(args.folder, name, Tokenizer.from_str(text), texts, max(args.random // 4, 30))
    save(args.folder, "tiny", Tokenizer.from_file(str(TINY)), texts, 30)


if __name__ == "__main__":
    main()
