"""Jobs on emulated devices: profiles, models and prompts made to order, runs under mpirun, and what they report.

Used by the scripts beside it. Needs Python 3 with h5py (Debian: python3-h5py) and numpy.
"""
import json
import os
import re
import subprocess

import h5py
import numpy


def write_profile(path, device, layer, head=None, embedding_s=0.0, prefill_key_s=0.0, decode_key_s=0.0,
                  prefill_layer=None):
    """A profile file of one device. layer, prefill_layer: {format: [(rows, seconds), ...]} of one decoder layer;
    head: the same over samples, no time at all if None."""
    def curve(points):
        return {"rows": [p[0] for p in points], "seconds": [p[1] for p in points]}
    head = head or {name: [(1, 0.0)] for name in ("bf16", "w8")}
    profile = {"device": device, "backend": "cuda", "source": "made up", "shape": "",
               "layer": {name: curve(points) for name, points in layer.items()},
               "prefill_key_s": prefill_key_s, "decode_key_s": decode_key_s,
               "embedding": curve([(1, embedding_s)]),
               "head": {name: curve(points) for name, points in head.items()}}
    if prefill_layer:
        profile["prefill_layer"] = {name: curve(points) for name, points in prefill_layer.items()}
    with open(path, "w") as file:
        json.dump({"format": "llmpq-profile-1", "devices": [profile]}, file)
    return path


def write_model(folder, hidden, layers, heads, kv_heads, ffn, vocab):
    """config.json of a Llama shape, for --load-format dummy."""
    os.makedirs(folder, exist_ok=True)
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": hidden,
              "intermediate_size": ffn, "num_hidden_layers": layers, "num_attention_heads": heads,
              "num_key_value_heads": kv_heads, "vocab_size": vocab, "max_position_embeddings": 1024,
              "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": True,
              "torch_dtype": "bfloat16", "eos_token_id": 2}
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(config, file)
    return folder


def write_prompts(path, count, shortest, longest, vocab, seed=1):
    """Prompts of random tokens, lengths spread evenly."""
    random = numpy.random.default_rng(seed)
    lengths = random.integers(shortest, longest + 1, count)
    splits = numpy.concatenate([[0], numpy.cumsum(lengths)]).astype("i8")
    with h5py.File(path, "w") as file:
        file["prompt_token_ids/values"] = random.integers(3, vocab, splits[-1]).astype("i4")
        file["prompt_token_ids/row_splits"] = splits
    return path


class Run:
    """One run of the program: exit code, what it wrote, its report (--json) as a dictionary."""

    def __init__(self, program, ranks, flags):
        words = ["mpirun", "--oversubscribe", "-n", str(ranks), program, *flags]
        environment = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        done = subprocess.run(words, capture_output=True, text=True, env=environment)
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr
        lines = [line for line in done.stdout.splitlines() if line.startswith('{"')]
        self.report = json.loads(lines[-1]) if lines and self.code == 0 else {}

    def overran(self):
        """Shares of the steps whose computing took longer than the emulated device, one for each rank that warned."""
        return [float(share) for share in re.findall(r"steps \(([\d.]+) %\)", self.err)]


def read_steps(timeline):
    """From --timeline's table: (begin_s, end_s, rank, step, kind) of what was computed."""
    row = re.compile(r"\s*([\d.]+)\s+([\d.]+)\s+(\d+)\s+(\d+)\s+(prefill|decode|mixed) ")
    steps = []
    with open(timeline) as file:
        for line in file:
            if found := row.match(line):
                steps.append((float(found[1]) * 1e-3, float(found[2]) * 1e-3, int(found[3]), int(found[4]), found[5]))
    return sorted(steps)


def machine():
    """The CPU's name and how many there are."""
    with open("/proc/cpuinfo") as file:
        names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    return f"{len(names)} cores of {names[0]}" if names else "an unknown CPU"
