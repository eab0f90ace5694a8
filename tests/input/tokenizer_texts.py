"""Texts for make_tokenizer_fixtures.py: what the tokenizers are trained on and what they must cut."""

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
