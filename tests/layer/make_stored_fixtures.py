#!/usr/bin/env python3
"""Makes tests/layer/fixtures_stored/: small random models whose matrices are stored as integers, in the file forms of
GPTQ and AWQ, and what transformers computes with the numbers that they stand for.

Run by hand (needs torch, transformers, safetensors, numpy; no GPU, and no package that quantizes):
    HF_HUB_OFFLINE=1 python3 tests/layer/make_stored_fixtures.py [NAME ...]

Matrices of a random model are rounded to integers here, packed by numpy as AutoGPTQ and AutoAWQ do, and unpacked
again from the packed words for the model that transformers runs in float32.
"""

import dataclasses
import json
import pathlib
import shutil
import sys

import make_parity_fixtures as parity  # sets what transformers reads from the environment
import numpy as np
import torch
from safetensors.torch import save_file

FOLDER = pathlib.Path(__file__).parent / "fixtures_stored"
AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
MODELS = {  # architecture, and what its config has besides Llama's
    "llama": ("LlamaForCausalLM", {}),
    "qwen2": ("Qwen2ForCausalLM", {"model_type": "qwen2", "use_sliding_window": False}),
    "phi3": ("Phi3ForCausalLM", {"model_type": "phi3", "pad_token_id": 0, "sliding_window": None}),
}


@dataclasses.dataclass
class Stored:
    name: str
    method: str
    bits: int = 4
    group: int = 128
    symmetric: bool = True
    desc_act: bool = False    # inputs belong to groups in any order
    g_idx: bool = True
    version2: bool = False    # zero points as they are, else less 1
    few_bits: bool = False    # scales of 5 bits, so that f16 holds every weight exactly
    layers: int = 1
    model: str = "llama"      # of MODELS


CASES = [
    Stored("gptq_4_bits", "gptq", layers=2),
    Stored("gptq_4_bits_zeros", "gptq", symmetric=False),
    Stored("gptq_4_bits_rows", "gptq", group=-1, version2=True, g_idx=False),
    Stored("gptq_4_bits_desc_act", "gptq", group=64, symmetric=False, desc_act=True, few_bits=True),
    Stored("gptq_8_bits", "gptq", bits=8),
    Stored("awq_4_bits", "awq", symmetric=False, layers=2),
    Stored("gptq_4_bits_qwen2", "gptq", model="qwen2"),
    Stored("gptq_4_bits_phi3", "gptq", model="phi3"),
    Stored("awq_4_bits_qwen2", "awq", symmetric=False, model="qwen2"),
]


def config_of(case):
    config = parity.llama(torch_dtype="float16", hidden_size=128, intermediate_size=256,
                          num_hidden_layers=case.layers, rope_theta=10000.0,
                          **MODELS[case.model][1])
    quantization = {"quant_method": case.method, "bits": case.bits, "group_size": case.group}
    if case.method == "awq":
        quantization.update(version="gemm", zero_point=True, modules_to_not_convert=None)
    else:
        quantization.update(sym=case.symmetric, desc_act=case.desc_act, damp_percent=0.01,
                            checkpoint_format="gptq_v2" if case.version2 else "gptq")
    return {"architectures": [MODELS[case.model][0]], **config, "quantization_config": quantization}


def round_matrix(case, w, rng):
    """Integers [k, n], zero points and scales [groups, n], and the group of each input."""
    k, most = w.shape[1], 2**case.bits - 1
    size = k if case.group < 0 else case.group
    g_idx = np.arange(k) // size
    if case.desc_act:
        rng.shuffle(g_idx)
    q = np.zeros((k, w.shape[0]), np.int64)
    zeros, scales = [], []
    for g in range(g_idx.max() + 1):
        part = w[:, g_idx == g].T  # [inputs, n]
        low, high = np.minimum(part.min(0), 0), np.maximum(part.max(0), 0)
        scale = (2 * np.abs(part).max(0) if case.symmetric else high - low) / most
        scale = scale.astype(np.float16)
        if case.few_bits:
            scale = (scale.view(np.uint16) & 0xffc0).view(np.float16)
        scale = scale.astype(np.float64)
        zero = np.full_like(scale, 2**(case.bits - 1)) if case.symmetric else np.round(-low / scale)
        zero = np.clip(zero, 0 if case.method == "awq" or case.version2 else 1, most)
        q[g_idx == g] = np.clip(np.round(part / scale) + zero, 0, most)
        zeros.append(zero.astype(np.int64))
        scales.append(scale.astype(np.float16))
    return q, np.stack(zeros), np.stack(scales), g_idx.astype(np.int32)


def pack(values, axis, bits, order=None):
    """32 / bits neighbours along the axis to an int32, the first in the lowest bits; by `order` the others."""
    values = np.moveaxis(values.astype(np.uint32), axis, -1)
    per = 32 // bits
    values = values.reshape(*values.shape[:-1], -1, per)
    words = np.zeros(values.shape[:-1], np.uint32)
    for i in range(per):
        words |= values[..., order[i] if order else i] << np.uint32(bits * i)
    return np.ascontiguousarray(np.moveaxis(words, -1, axis)).view(np.int32)


def unpack(words, axis, bits, order=None):
    words = np.moveaxis(words.view(np.uint32), axis, -1)
    per = 32 // bits
    out = np.zeros((*words.shape, per), np.int64)
    for i in range(per):
        out[..., order[i] if order else i] = words >> np.uint32(bits * i) & np.uint32(2**bits - 1)
    return np.moveaxis(out.reshape(*words.shape[:-1], -1), -1, axis)


def store(case, w, rng):
    """The tensors of a matrix by their ending, and the float matrix that they stand for."""
    q, zeros, scales, g_idx = round_matrix(case, w, rng)
    awq = case.method == "awq"
    order = AWQ_ORDER if awq else None
    less = 0 if awq or case.version2 else 1
    tensors = {"qweight": pack(q, 1 if awq else 0, case.bits, order),
               "qzeros": pack(zeros - less, 1, case.bits, order), "scales": scales}
    if not awq and case.g_idx:
        tensors["g_idx"] = g_idx
    q = unpack(tensors["qweight"], 1 if awq else 0, case.bits, order)
    zeros = unpack(tensors["qzeros"], 1, case.bits, order) + less
    exact = (q - zeros[g_idx]) * scales.astype(np.float64)[g_idx]
    assert np.array_equal(exact, exact.astype(np.float32))
    assert not case.few_bits or np.array_equal(exact, exact.astype(np.float16))
    return tensors, torch.from_numpy(exact.T.astype(np.float32).copy())


def make(case):
    config = config_of(case)
    plain = {key: value for key, value in config.items() if key != "quantization_config"}
    fixture = parity.Fixture(case.name, MODELS[case.model][0], plain, dtype=torch.float16)
    for seed in range(1, 500):
        model = parity.make_model(fixture, plain)
        parity.randomize(model, fixture, seed)
        rng = np.random.default_rng(seed)
        tensors = {}
        for name, parameter in model.named_parameters():
            if not name.endswith("_proj.weight"):
                tensors[name] = parameter.detach().half().contiguous()
                continue
            stored, exact = store(case, parameter.detach().double().numpy(), rng)
            parameter.data.copy_(exact)
            for ending, value in stored.items():
                tensors[name.removesuffix("weight") + ending] = torch.from_numpy(value)
        expected = parity.expect(model, fixture, seed)
        if expected is not None:
            break
    else:
        sys.exit(f"{case.name}: no seed gives clear texts")
    folder = FOLDER / case.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    (folder / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")
    print(f"{case.name}: seed {seed}")


def main():
    torch.set_num_threads(1)
    wanted = sys.argv[1:]
    for case in CASES:
        if not wanted or case.name in wanted:
            make(case)
    size = sum(f.stat().st_size for f in FOLDER.rglob("*") if f.is_file())
    print(f"{size / 2**20:.2f} MiB in {FOLDER}")


if __name__ == "__main__":
    main()
