#!/usr/bin/env python3
"""Makes tests/program/fixtures/eval.json: what transformers finds of the tiny model, for eval_test.cpp.

Run by hand (needs torch, transformers, tokenizers; the committed file needs none of it):
    HF_HUB_OFFLINE=1 python3 tests/program/make_eval_fixture.py

Float32 arithmetic; the weights of each layer are bf16 as in the checkpoint or rounded to its format and back (evaluate.py of the tiny
model), and the first BYTES of the held-out text are cut into windows as there. For each plan: perplexity with its clustered standard
error over windows, mean KL divergence from the unrounded model and share of tokens with the same likeliest one, both with theirs.
"""

import json
import math
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TINY = ROOT / "data" / "tiny"
sys.path.insert(0, str(TINY))

import torch  # noqa: E402
from evaluate import FORMATS, load, round_to_nearest, windows  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

BYTES, WINDOW, STRIDE = 6000, 192, 128
PLANS = {
    "bf16": ["bf16"] * 8,
    "w4": ["w4"] * 8,
    "mixed": ["w4", "w3", "w4", "w8", "bf16", "w3", "w4", "w8"],
}


def rounded(formats):
    """The model with each layer's linear weights in its format."""
    model = load(TINY, None)
    for layer, name in zip(model.model.layers, formats):
        for module in layer.modules():
            if isinstance(module, torch.nn.Linear) and FORMATS[name]:
                module.weight.data = round_to_nearest(module.weight.data, FORMATS[name])
    return model


@torch.inference_mode()
def log_probabilities(model, ids):
    """One (scored tokens, vocabulary) float64 tensor a window."""
    return [model(input_ids=ids[None, begin:end], use_cache=False).logits[0, scored - begin - 1:-1].double().log_softmax(-1)
            for begin, end, scored in windows(len(ids), WINDOW, STRIDE)]


def mean_of_groups(sums, counts):
    """(mean, standard error) of a ratio of sums over groups."""
    mean = sum(sums) / sum(counts)
    squared = sum((s - mean * c) ** 2 for s, c in zip(sums, counts))
    return mean, math.sqrt(squared * len(sums) / (len(sums) - 1)) / sum(counts)


def measure(reference, other, ids):
    """The figures of one plan."""
    targets = [ids[scored:end] for _, end, scored in windows(len(ids), WINDOW, STRIDE)]
    counts = [len(t) for t in targets]
    losses = [-q.gather(1, t[:, None]).sum().item() for q, t in zip(other, targets)]
    nats = [(p.exp() * (p - q)).sum().item() for p, q in zip(reference, other)]
    same = [(p.argmax(1) == q.argmax(1)).sum().item() for p, q in zip(reference, other)]
    (loss, loss_error), (kl, kl_error), (top, top_error) = (mean_of_groups(sums, counts) for sums in (losses, nats, same))
    return {"tokens": sum(counts), "perplexity": math.exp(loss), "standard_error": math.exp(loss) * loss_error,
            "divergence": kl, "divergence_error": kl_error, "same_top": top, "same_top_error": top_error}


def main():
    torch.set_num_threads(1)
    text = (TINY / "heldout.txt").read_bytes()[:BYTES].decode("utf-8")
    ids = torch.tensor(Tokenizer.from_file(str(TINY / "tokenizer.json")).encode(text).ids)
    reference = log_probabilities(rounded(PLANS["bf16"]), ids)
    plans = {name: {"formats": ",".join(formats), **measure(reference, log_probabilities(rounded(formats), ids), ids)}
             for name, formats in PLANS.items()}
    fixture = {"bytes": BYTES, "window": WINDOW, "stride": STRIDE, "plans": plans}
    target = pathlib.Path(__file__).parent / "fixtures" / "eval.json"
    target.write_text(json.dumps(fixture, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
