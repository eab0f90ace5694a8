#!/usr/bin/env python3
"""Trains the tiny model from nothing: corpus, tokenizer, Llama weights; writes them in Hugging Face's form beside this file.

Short rows come first, because attention over long ones is most of the time on a CPU; the last part of the run has full ones.
Seeded. Phases and learning rate follow the wall time (--minutes), so a slower machine takes fewer steps and still ends
well; --steps N goes by steps instead, whatever the machine's speed. Needs torch, transformers, tokenizers, safetensors. No network.
"""

import argparse
import json
import math
import os
import pathlib
import random
import time

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # a thread that spins wastes the share of cores used by others, too

import numpy as np  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: E402
from transformers import LlamaConfig  # noqa: E402

from corpus import END_OF_TEXT, documents  # noqa: E402
from initial import initial_model  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
VOCAB = 2048
CONTEXT = 512
NOT_ABOUT_THE_MODEL = {"output_hidden_states", "output_attentions", "return_dict", "chunk_size_feed_forward", "is_encoder_decoder",
                       "id2label", "label2id", "problem_type", "_name_or_path"}  # keys of config.json left out
TOKENIZER_DOCUMENTS = 20_000
PHASES = [(0.7, 192, 10), (1.0, CONTEXT, 4)]  # until this part of the run: tokens a row, rows a step
ANSWER_WEIGHT = 5.0  # of the loss on a task's answer, against 1 for other text; most of a task's question cannot be foreseen
# Words with their leading space, one digit a token, punctuation, line ends, spaces.
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def train_tokenizer(seed):
    """A byte-level BPE of exactly VOCAB tokens, end of text included; no text is impossible for it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, special_tokens=[END_OF_TEXT], show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator(documents(seed, TOKENIZER_DOCUMENTS), trainer)
    return tokenizer


def model_config():
    """The shape of the model: grouped-query attention, odd sizes on purpose (192 is no multiple of 128)."""
    return LlamaConfig(vocab_size=VOCAB, hidden_size=192, intermediate_size=512, num_hidden_layers=8, num_attention_heads=6,
                       num_key_value_heads=2, head_dim=32, max_position_embeddings=CONTEXT, rms_norm_eps=1e-5,
                       rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, tie_word_embeddings=True,
                       bos_token_id=None, eos_token_id=0, pad_token_id=None, initializer_range=0.05, dtype="bfloat16")


def encode_documents(tokenizer, seed, count):
    """Token ids of the training documents, each with its end-of-text."""
    end = tokenizer.token_to_id(END_OF_TEXT)
    texts = list(documents(seed, count))
    encoded = []
    for begin in range(0, count, 5000):
        encoded += [encoding.ids + [end] for encoding in tokenizer.encode_batch_fast(texts[begin:begin + 5000])]
    return encoded


def pack_rows(encoded, length):
    """Token rows (rows, length + 1): each begins with a new document, is filled with whole ones, and cuts the last."""
    rows, row = [], []
    for ids in encoded:
        row = row + ids
        if len(row) > length:
            rows.append(row[:length + 1])
            row = []
    return torch.from_numpy(np.array(rows, dtype=np.int16))


def batches(rows, size, generator):
    """Yields batches (size, row) without end, all rows in a new order each epoch."""
    while True:
        for pick in torch.randperm(len(rows), generator=generator).split(size):
            if len(pick) == size:
                yield rows[pick].long()


def learning_rate(progress, peak):
    """Warm-up over 2 % of the run, then a cosine down to zero; `progress` in [0, 1]."""
    if progress < 0.02:
        return peak * (progress + 0.0005) / 0.02
    return peak * 0.5 * (1 + math.cos(math.pi * (progress - 0.02) / 0.98))


def optimizer_for(model):
    """AdamW with weight decay on matrices only."""
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    return torch.optim.AdamW([{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}],
                             lr=0.0, betas=(0.9, 0.98), eps=1e-8, fused=True)


def token_weights(tokens, answer, line_end):
    """Weight of each token of rows (batch, n): ANSWER_WEIGHT from after the word "Answer" to the end of its line, else 1."""
    position = torch.arange(tokens.shape[1]).expand_as(tokens)
    last_answer = torch.where(tokens == answer, position, -1).cummax(dim=1).values
    last_end = torch.where(tokens == line_end, position, -1).cummax(dim=1).values
    return torch.where(last_answer > last_end, ANSWER_WEIGHT, 1.0)


def losses(model, tokens):
    """Loss of each token but the first of rows (batch, n), in nats; matrix products in bf16, the rest in float32."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(input_ids=tokens[:, :-1], use_cache=False).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].flatten(), reduction="none")


def train_step(losses_of, model, optimizer, batch, weights, rate):
    """One update; returns the mean loss before it, of all tokens and of answers."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    loss = losses_of(model, batch)
    weights = weights[:, :-1].flatten()  # a token that follows "Answer" or a part of the answer, its line end too
    ((loss * weights).sum() / weights.sum()).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.mean().item(), loss[weights > 1].mean().item()


def train(model, sources, special, args):
    """Trains until the steps or the minutes are used up; saves a usable model now and then. Returns a short history.

    `sources` has the batches of each phase, `special` the tokens that begin and end an answer.
    """
    losses_of = torch.compile(losses, dynamic=False) if args.compile else losses
    optimizer = optimizer_for(model)
    start = saved = time.monotonic()
    history, recent, step, tokens, progress = [], [], 0, 0, 0.0
    while progress < 1.0:
        batch = next(next(source for (until, *_), source in zip(PHASES, sources) if progress < until))
        rate = learning_rate(progress, args.rate)
        recent.append(train_step(losses_of, model, optimizer, batch, token_weights(batch, *special), rate))
        step, tokens, now = step + 1, tokens + batch[:, 1:].numel(), time.monotonic()
        progress = step / args.steps if args.steps else (now - start) / (60 * args.minutes)
        if step % 100 == 0 or progress >= 1.0:
            loss, answer_loss = np.nanmean(recent, axis=0).round(4).tolist()
            history.append({"step": step, "tokens": tokens, "seconds": round(now - start), "loss": loss, "answer_loss": answer_loss})
            print(json.dumps(history[-1]), flush=True)
            recent = []
        if args.checkpoints and now - saved > 180:
            save_weights(model, args.checkpoints)
            saved = now
    return history


def save_weights(model, folder):
    """Writes model.safetensors in bf16; the tied head is left out."""
    tensors = {name: tensor.detach().to(torch.bfloat16).contiguous() for name, tensor in model.state_dict().items()
               if name != "lm_head.weight"}
    part = pathlib.Path(folder) / "model.safetensors.part"
    save_file(tensors, part, metadata={"format": "pt"})
    part.chmod(0o644)
    part.replace(part.with_suffix(""))


def save_texts(tokenizer, folder):
    """Writes the tokenizer and the JSON files that describe it and the model."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {key: value for key, value in model_config().to_dict().items() if key not in NOT_ABOUT_THE_MODEL}
    save_json(folder / "config.json", {**config, "architectures": ["LlamaForCausalLM"]})
    save_json(folder / "generation_config.json", {"eos_token_id": 0})
    save_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": CONTEXT, "eos_token": END_OF_TEXT,
        "add_bos_token": False, "clean_up_tokenization_spaces": False})


def save_json(path, value):
    """Writes indented JSON with a line end."""
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def parse_arguments():
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=25, help="wall time of the training proper")
    parser.add_argument("--steps", type=int, default=0, help="instead of --minutes")
    parser.add_argument("--documents", type=int, default=50_000, help="training documents, repeated when used up")
    parser.add_argument("--rate", type=float, default=1.5e-3, help="peak learning rate")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="with torch.compile: a third faster, needs a C++ compiler")
    parser.add_argument("--output", type=pathlib.Path, default=HERE)
    parser.add_argument("--checkpoints", type=pathlib.Path, help="folder for a usable model every three minutes")
    return parser.parse_args()


def main():
    """Corpus and tokenizer, then weights, then files."""
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    random.seed(args.seed)
    start = time.monotonic()
    tokenizer = train_tokenizer(args.seed)
    for folder in filter(None, (args.output, args.checkpoints)):
        save_texts(tokenizer, folder)
    print(f"tokenizer: {tokenizer.get_vocab_size()} tokens, {time.monotonic() - start:.0f} s", flush=True)
    encoded = encode_documents(tokenizer, args.seed, args.documents)
    print(f"corpus: {sum(map(len, encoded))} tokens, {time.monotonic() - start:.0f} s", flush=True)
    generator = torch.Generator().manual_seed(args.seed)
    sources = [batches(pack_rows(encoded, length), size, generator) for _, length, size in PHASES]
    special = [tokenizer.token_to_id(piece) for piece in ("Answer", tokenizer.encode("\n").tokens[0])]
    model = initial_model(model_config())
    print(f"model: {sum(p.numel() for p in model.parameters())} parameters", flush=True)
    history = train(model, sources, special, args)
    save_weights(model, args.output)
    if args.checkpoints:
        save_weights(model, args.checkpoints)
    settings = {key: value for key, value in vars(args).items() if key not in ("output", "checkpoints")}
    save_json(args.output / "training.json", {"arguments": settings, "history": history})


if __name__ == "__main__":
    main()
