"""Makes v100-opt-30b.json and p100-opt-30b.json from what the authors of LLM-PQ measured.

python3 make_profiles.py      writes both beside this file, the same bytes each time

One layer of OPT-30B in milliseconds, from the notebooks of their repository: notebook/motivations.ipynb (V100, batches of
2, 4 and 8) and notebook/phaseTime.ipynb (V100 and P100 side by side, batches of 8; taken where both have a number). Prompts of
512 tokens, decode with 512 tokens in the cache. These are the times of their kernels, not of ours: 3 and 4 bits are slow with
many rows. Their "8" is LLM.int8.

What they did not measure is estimated from the specification sheet, as src/profile/roofline.cpp does: what a key of
attention takes (and is taken off their points), the embedding, and the head.
"""
import json
import pathlib

HIDDEN, VOCAB, TOKENS = 7168, 50272, 512
# {format: {rows: ms}}: prefill rows = batch * 512, decode rows = batch
V100 = {
    "f16": ({1024: 16.05703831, 2048: 31.77056313, 4096: 77.80665159}, {2: 2.441263199, 4: 2.69920826, 8: 3.176513314}),
    "w8": ({1024: 21.85966969, 2048: 41.45514965, 4096: 85.11660099}, {2: 7.271099091, 4: 7.519483566, 8: 8.077287674}),
    "w4": ({1024: 555.6130171, 2048: 1112.234402, 4096: 2286.132538}, {2: 2.043867111, 4: 3.209066391, 8: 5.917119980}),
    "w3": ({1024: 413.0125761, 2048: 829.2733431, 4096: 1663.913631}, {2: 2.086257935, 4: 2.682542801, 8: 4.653978348}),
}
P100 = {
    "f16": ({4096: 1130.731142}, {8: 23.16066623}),
    "w4": ({4096: 6756.083095}, {8: 16.01364016}),
}
# name: (GB/s, f16 TFLOP/s with f32 sums, f32 TFLOP/s)
SHEETS = {"V100-32G": (900, 125, 15.7), "P100-12G": (549, 18.7, 9.3)}
PLAIN_ATTENTION, STREAM, PRODUCTS, LAUNCH_S = 0.20, 0.75, 0.80, 2.5e-6


def rounded(seconds):
    return float(f"{seconds:.6g}")


def profile(name, points):
    bandwidth, half, fp32 = SHEETS[name]
    # Their attention ran as f16 products: at the half rate, a fifth of the peak; decode by the bytes of K and V.
    prefill_key_s = 4 * HIDDEN / (half * 1e12 * PLAIN_ATTENTION)
    decode_key_s = 4 * HIDDEN / (bandwidth * 1e9 * STREAM)
    layer = {}
    for weights, (prefill, decode) in points.items():
        rows, seconds = [], []
        for n, ms in decode.items():
            rows.append(n)
            seconds.append(rounded(ms / 1e3 - n * (TOKENS + 1) * decode_key_s))
        for n, ms in prefill.items():
            rows.append(n)
            seconds.append(rounded(ms / 1e3 - n * (TOKENS + 1) / 2 * prefill_key_s))
        layer[weights] = {"rows": rows, "seconds": seconds}
    reading = 2 * HIDDEN * VOCAB / (bandwidth * 1e9 * STREAM)
    per_row = 2 * HIDDEN * VOCAB / (half * 1e12 * PRODUCTS) + 24 * VOCAB / (bandwidth * 1e9 * STREAM)
    head = {"rows": [1, 1024], "seconds": [rounded(reading), rounded(reading + 1024 * per_row)]}
    embedding = {"rows": [1, 8192], "seconds": [2 * LAUNCH_S, rounded(2 * LAUNCH_S + 8192 * 6 * HIDDEN / (bandwidth * 1e9 * STREAM))]}
    return {"device": name, "backend": "cuda", "source": "measured", "shape": "", "layer": layer,
            "prefill_key_s": rounded(prefill_key_s), "decode_key_s": rounded(decode_key_s), "embedding": embedding, "head": {"f16": head}}


def text(name, points):
    device = profile(name, points)
    note = (f"One layer of OPT-30B on a {name} as the authors of LLM-PQ measured it, with their kernels, in "
            f"{', '.join(points)}; attention's keys, embedding and head are estimates (make_profiles.py).")
    lines = []
    for key, value in device.items():
        if key in ("layer", "head"):
            inner = ",\n".join(f"      {json.dumps(k)}: {json.dumps(v)}" for k, v in value.items())
            lines.append(f"    {json.dumps(key)}: {{\n{inner}}}")
        else:
            lines.append(f"    {json.dumps(key)}: {json.dumps(value)}")
    body = ",\n".join(lines)
    return f'{{\n"format": "llmpq-profile-1",\n"note": {json.dumps(note)},\n"devices": [\n  {{\n{body}}}],\n"links": []\n}}\n'


if __name__ == "__main__":
    folder = pathlib.Path(__file__).parent
    (folder / "v100-opt-30b.json").write_text(text("V100-32G", V100))
    (folder / "p100-opt-30b.json").write_text(text("P100-12G", P100))
