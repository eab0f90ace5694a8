"""Problem files (llmpq-problem-1) like the paper's clusters and some of today, to time the optimizer with.

make_problems.py FOLDER [--mix separated|interleaved|mixed|all] [--theta SHARE] [--max-omega SHARE]

Seconds come from a simple roofline of published peak numbers, omega from a seeded draw. SHARE of --theta: theta times
all layers at the fewest bits is that share of a rough time; SHARE of --max-omega: of the same sum of omega.
"""
import argparse
import json
import os
import random

GIB = 2**30
# name: TFLOP/s of 16-bit products, GB/s, GiB
GPUS = {
    "P100": (18.7, 732, 12), "T4": (65, 300, 16), "V100": (112, 900, 32), "A100-40G": (312, 1555, 40),
    "A100-80G": (312, 2039, 80), "H100": (989, 3350, 80), "H20": (148, 4000, 96), "L4": (121, 300, 24),
    "L40S": (362, 864, 48), "RTX4090": (165, 1008, 24), "RTX3090": (71, 936, 24),
}
# name: layers, hidden, ffn, KV width, matrices of the ffn, vocabulary
MODELS = {
    "opt-13b": (40, 5120, 20480, 5120, 2, 50272), "opt-30b": (48, 7168, 28672, 7168, 2, 50272),
    "opt-66b": (64, 9216, 36864, 9216, 2, 50272), "bloom-176b": (70, 14336, 57344, 14336, 2, 250880),
    "llama-3.1-70b": (80, 8192, 28672, 1024, 3, 128256), "qwen2.5-32b": (64, 5120, 27648, 1024, 3, 152064),
    "llama-3.1-405b": (126, 16384, 53248, 1024, 3, 128256),
}
# file: devices, model, prompts, prompt tokens, output tokens
CLUSTERS = {
    "paper-01": ([("V100", 1)], "opt-13b", 32, 512, 100),
    "paper-02": ([("A100-40G", 1)], "opt-13b", 32, 512, 100),
    "paper-03": ([("T4", 3), ("V100", 1)], "opt-30b", 32, 512, 100),
    "paper-04": ([("P100", 3), ("V100", 1)], "opt-30b", 32, 512, 100),
    "paper-05": ([("T4", 4), ("V100", 2)], "opt-66b", 32, 512, 100),
    "paper-06": ([("V100", 2), ("A100-40G", 2)], "opt-66b", 32, 512, 100),
    "paper-07": ([("V100", 4), ("A100-40G", 4)], "bloom-176b", 32, 512, 100),
    "paper-08": ([("V100", 4), ("A100-80G", 2)], "bloom-176b", 32, 512, 100),
    "paper-09": ([("T4", 4)], "opt-30b", 32, 512, 100),
    "paper-10": ([("V100", 4)], "opt-66b", 32, 512, 100),
    "paper-11": ([("A100-80G", 4)], "bloom-176b", 32, 512, 100),
    "today-1": ([("A100-80G", 2), ("L4", 4)], "llama-3.1-70b", 10000, 1024, 64),
    "today-2": ([("H100", 8), ("A100-40G", 8)], "llama-3.1-405b", 10000, 512, 128),
    "today-3": ([("RTX4090", 4), ("RTX3090", 4)], "llama-3.1-70b", 10000, 256, 256),
    "today-4": ([("H20", 2), ("L40S", 2)], "llama-3.1-70b", 10000, 1024, 64),
    "today-5": ([("A100-80G", 4), ("L40S", 4)], "llama-3.1-70b", 10000, 512, 128),
    "today-6": ([("RTX3090", 2), ("L4", 4)], "qwen2.5-32b", 10000, 1024, 64),
    "many-64": ([("H100", 16), ("A100-80G", 16), ("L40S", 16), ("V100", 16)], "llama-3.1-405b", 10000, 512, 128),
}
FORMATS = [("bf16", 16, 1, 1), ("w8", 8.25, 0.8, 1), ("w4", 4.25, 1.15, 1.05), ("w3", 3.25, 1.3, 1.1)]  # bits, slower prefill, decode
CHUNKS, BATCHES = [64, 128, 256, 512, 1024, 2048], [2, 4, 8, 16, 32, 64, 128]


def seconds(gpu, flops, read, slower):
    tflops, gbps, _ = GPUS[gpu]
    return (max(flops / (0.6e12 * tflops), read / (0.8e9 * gbps)) + 2e-5) * slower


def kind_of(gpu, model, context):
    layers, hidden, ffn, kv, matrices, vocabulary = MODELS[model]
    parameters = 2 * hidden * hidden + 2 * hidden * kv + matrices * hidden * ffn

    def layer(rows, bits, slower, cache):
        return seconds(gpu, 2 * parameters * rows, parameters * bits / 8 + cache * rows * context * kv * 4, slower)

    head = [seconds(gpu, 2 * vocabulary * hidden * min(rows, 128), 2 * vocabulary * hidden, 1) for rows in BATCHES]
    return {
        "name": gpu,
        "prefill_s": [[layer(u, bits, p, 0) for u in CHUNKS] for _, bits, p, _ in FORMATS],
        "decode_s": [[layer(v, bits, d, 1) for v in BATCHES] for _, bits, _, d in FORMATS],
        "embed_prefill_s": [seconds(gpu, 0, 4 * hidden * u, 1) for u in CHUNKS],
        "head_prefill_s": [seconds(gpu, 0, 2 * vocabulary * hidden, 1) for _ in CHUNKS],
        "embed_decode_s": [seconds(gpu, 0, 4 * hidden * v, 1) for v in BATCHES],
        "head_decode_s": head,
    }


def batchings_of(cluster, mixes):
    devices, model, prompts, prompt, output = cluster
    _, hidden, _, kv, _, vocabulary = MODELS[model]
    stages = sum(count for _, count in devices)
    lanes = sorted({max(1, stages // 4), max(1, stages // 2), stages, 2 * stages})
    rows = []
    for mix in mixes:
        for u, chunk in enumerate(CHUNKS):
            for v, batch in enumerate(BATCHES):
                for m in lanes:
                    if m * batch > prompts:
                        continue
                    chunks, rounds = prompts * prompt / chunk, output * prompts / (m * batch)
                    c = chunks / rounds
                    queued = chunks if c < 1 else rounds * (m + c) / (m + c + 2)
                    rows.append({
                        "mix": mix, "prefill": u, "decode": v, "in_flight": m,
                        "prefill_sum": 1, "prefill_max": 0 if mix == "mixed" else chunks,
                        "decode_sum": 1, "decode_max": chunks if mix == "mixed" else 0, "rounds": rounds,
                        "chunk_rounds": queued if mix == "interleaved" else 0,
                        "kv_bytes_per_layer": m * batch * (prompt + output) * kv * 4,
                        "workspace_bytes": max(chunk, batch) * hidden * 16 + 2**28,
                        "first_bytes": 2 * vocabulary * hidden, "last_bytes": 2 * vocabulary * hidden,
                    })
    return rows


def problem_of(name, options):
    cluster = devices, model, prompts, prompt, output = CLUSTERS[name]
    layers, hidden, ffn, kv, matrices, _ = MODELS[model]
    parameters = 2 * hidden * hidden + 2 * hidden * kv + matrices * hidden * ffn
    draw = random.Random(name)
    omega = [[0.0] + [draw.uniform(0.3, 1.7) * (1 + i / layers) * 4.0 ** (8 - bits) / layers for _, bits, _, _ in FORMATS[1:]]
             for i in range(layers)]
    worst = sum(row[-1] for row in omega)
    mixes = ["separated", "interleaved", "mixed"] if options.mix == "all" else [options.mix]
    groups, kinds, rank = [], [], 0
    for gpu, count in devices:
        groups.append({"name": gpu, "kind": len(kinds), "ranks": list(range(rank, rank + count)),
                       "memory_bytes": int(GPUS[gpu][2] * GIB * 0.92)})
        kinds.append(kind_of(gpu, model, prompt + output // 2))
        rank += count
    work = 2 * parameters * layers * prompts * (prompt + output)
    rough_time = work / sum(0.3e12 * GPUS[gpu][0] * count for gpu, count in devices)
    near, far = 1 / 50e9, 1 / 10e9
    return {
        "format": "llmpq-problem-1", "name": name, "layers": layers, "formats": [f[0] for f in FORMATS],
        "layer_bytes": [int(parameters * bits / 8) for _, bits, _, _ in FORMATS], "omega": omega,
        "theta": options.theta * rough_time / worst,
        "max_omega": None if options.max_omega is None else options.max_omega * worst,
        "prefill_tokens": CHUNKS, "decode_sequences": BATCHES, "kinds": kinds, "groups": groups,
        "links": {"latency_s": [[2e-5] * len(groups) for _ in groups],
                  "s_per_byte": [[near if a == b else far for b in range(len(groups))] for a in range(len(groups))],
                  "activation_bytes_per_token": 2 * hidden, "in_sum": True},
        "batchings": batchings_of(cluster, mixes), "order": None,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--mix", default="all", choices=["all", "separated", "interleaved", "mixed"])
    parser.add_argument("--theta", type=float, default=0)
    parser.add_argument("--max-omega", type=float)
    options = parser.parse_args()
    os.makedirs(options.folder, exist_ok=True)
    for name in CLUSTERS:
        with open(os.path.join(options.folder, name + ".json"), "w") as file:
            json.dump(problem_of(name, options), file)


if __name__ == "__main__":
    main()
