#!/usr/bin/env python3
"""Measures the tiny model with transformers: perplexity on heldout.txt and accuracy on tasks.jsonl, for each weight format.

The formats are simulated: every linear layer of the decoder is rounded to nearest, symmetric, in groups of 128 along its input (a last
group may be smaller), one scale a group; embedding, head and norms stay as they are. Weights are rounded, arithmetic is float32.
"""

import argparse
import collections
import json
import math
import os
import pathlib

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # a thread that spins wastes the share of cores used by others, too

import torch  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402
from transformers import LlamaForCausalLM  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
GROUP = 128
FORMATS = {"bf16": None, "w8": 127, "w4": 7, "w3": 3}  # the largest integer of each
NEW_TOKENS = 48
BATCH = 64


def round_to_nearest(weight, largest):
    """The weight (out, in) as integers in [-largest, largest] times one scale for each row and group."""
    parts = []
    for part in weight.split(GROUP, dim=1):
        scale = part.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / largest
        parts.append((part / scale).round().clamp(-largest, largest) * scale)
    return torch.cat(parts, dim=1)


def load(folder, largest):
    """The model in float32 with its bf16 weights, the decoder's linear layers rounded further if asked."""
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    if largest:
        for module in model.model.layers.modules():
            if isinstance(module, torch.nn.Linear):
                module.weight.data = round_to_nearest(module.weight.data, largest)
    return model


def windows(count, window, stride):
    """Yields (begin, end, first scored) so that each token but the very first is scored once, with as much context as fits."""
    scored = 1
    for begin in range(0, count, stride):
        end = min(begin + window, count)
        yield begin, end, scored
        scored = end
        if end == count:
            return


@torch.inference_mode()
def window_losses(model, ids, window, stride):
    """Sum of -log p for the scored tokens of each window (float64) and how many they are."""
    sums, counts = [], []
    for begin, end, scored in windows(len(ids), window, stride):
        logits = model(input_ids=ids[None, begin:end], use_cache=False).logits[0, scored - begin - 1:-1]
        losses = torch.nn.functional.cross_entropy(logits, ids[scored:end], reduction="none")
        sums.append(losses.double().sum().item())
        counts.append(end - scored)
    return torch.tensor(sums, dtype=torch.float64), torch.tensor(counts, dtype=torch.float64)


def compare(sums, reference, counts):
    """Mean increase of the loss over the reference and its paired standard error over the windows, both in nats a token."""
    difference = sums - reference
    mean = difference.sum() / counts.sum()
    residual = difference - mean * counts  # of a ratio estimate: windows differ in their number of tokens
    n = len(counts)
    return mean.item(), (residual.square().sum() * n / (n - 1)).sqrt().item() / counts.sum().item()


@torch.inference_mode()
def answers(model, tokenizer, prompts):
    """The first line that the model adds to each prompt, greedily. Prompts of equal length share a batch, so nothing is padded."""
    ids = [tokenizer.encode(prompt).ids for prompt in prompts]
    by_length = collections.defaultdict(list)
    for index, row in enumerate(ids):
        by_length[len(row)].append(index)
    found = [""] * len(prompts)
    ends = [0, tokenizer.encode("\n").ids[0]]
    for group in by_length.values():
        for begin in range(0, len(group), BATCH):
            picked = group[begin:begin + BATCH]
            rows = torch.tensor([ids[i] for i in picked])
            output = model.generate(rows, attention_mask=torch.ones_like(rows), do_sample=False, max_new_tokens=NEW_TOKENS,
                                    eos_token_id=ends, pad_token_id=0)
            for i, row in zip(picked, output[:, rows.shape[1]:].tolist()):
                found[i] = tokenizer.decode(row).split("\n")[0].strip()
    return found


def accuracy(model, tokenizer, tasks):
    """Share of exactly right answers for each kind of task."""
    found = answers(model, tokenizer, [task["prompt"] for task in tasks])
    right, total = collections.Counter(), collections.Counter()
    for task, answer in zip(tasks, found):
        total[task["kind"]] += 1
        right[task["kind"]] += answer == task["answer"]
    return {kind: right[kind] / total[kind] for kind in total}


def parse_arguments():
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, default=HERE)
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--window", type=int, default=512)
    parser.add_argument("--stride", type=int, default=256)
    parser.add_argument("--tasks", type=int, default=None, help="only so many tasks; 0 for none")
    parser.add_argument("--bytes", type=int, default=None, help="only so much of the held-out text")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def main():
    """Measures each format and prints one JSON object a line; the first format is the reference of the others."""
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    tokenizer = Tokenizer.from_file(str(args.model / "tokenizer.json"))
    text = (HERE / "heldout.txt").read_text(encoding="utf-8")[:args.bytes]
    ids = torch.tensor(tokenizer.encode(text).ids)
    tasks = [json.loads(line) for line in (HERE / "tasks.jsonl").open(encoding="utf-8")][:args.tasks]
    reference = None
    for name in args.formats:
        model = load(args.model, FORMATS[name])
        sums, counts = window_losses(model, ids, args.window, args.stride)
        reference = sums if reference is None else reference
        mean, error = compare(sums, reference, counts)
        result = {"format": name, "perplexity": round(math.exp(sums.sum() / counts.sum()), 5), "tokens": int(counts.sum()),
                  "increase_percent": round(100 * math.expm1(mean), 4), "standard_error_percent": round(100 * error, 4)}
        if tasks:
            result["accuracy"] = {kind: round(share, 3) for kind, share in accuracy(model, tokenizer, tasks).items()}
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
