#!/usr/bin/env python3
"""Makes tests/layer/fixtures/: small random models and what transformers computes with them.

Run by hand (needs torch, transformers, safetensors; the committed fixtures need none of it):
    HF_HUB_OFFLINE=1 python3 tests/layer/make_parity_fixtures.py [NAME ...]

Every weight is a bfloat16 value (and a float16 one where the file is float16), so no file type loses
anything. Expected values come from the model as transformers reads it back from the folder, in
float32, one prompt at a time, without padding and without a KV cache. A seed is taken only if every greedy choice
is clear (MARGIN) and the texts do not collapse into a few tokens. fixtures/README.md has the format.
"""

import dataclasses
import json
import os
import pathlib
import shutil
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import torch
import transformers
from safetensors.torch import save_file

FOLDER = pathlib.Path(__file__).parent / "fixtures"
PROMPT_TOKENS = (1, 7, 19, 34)
PROMPT_WITH_ALL_LOGITS = 1
NEW_TOKENS = 20
MARGIN = 1e-2
LOGIT_STD = 3.0
FINAL_NORMS = ("model.norm.weight", "ln_f.weight", "decoder.final_layer_norm.weight",
               "gpt_neox.final_layer_norm.weight")

ROPE_5 = {"rope_type": "default", "rope_theta": 10000.0}
LLAMA3_SCALING = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                  "high_freq_factor": 4.0, "original_max_position_embeddings": 32}
LONG_ROPE = ([1.0, 1.05, 1.1, 1.3, 1.6, 2.0], [1.2, 2.0, 3.5, 5.0, 9.0, 14.0])


@dataclasses.dataclass
class Fixture:
    """config: what config.json says, word by word (architectures is added)."""
    name: str
    architecture: str
    config: dict
    dtype: torch.dtype = torch.bfloat16
    drop_prefix: str = ""       # taken off the tensor names, as older files on the hub have it
    buffers: bool = False       # adds inv_freq buffers, as older files have them
    shards: int = 1
    effect_of: tuple = ()       # (key, other value): the logits must change if it is changed
    prompt_tokens: tuple = PROMPT_TOKENS
    attention: str = "eager"    # as the textbook has it; Falcon's own adds ALiBi twice, "sdpa" once


def llama(**changes):
    base = dict(model_type="llama", hidden_size=48, intermediate_size=80, num_hidden_layers=3,
                num_attention_heads=4, num_key_value_heads=2, vocab_size=128,
                max_position_embeddings=128, rms_norm_eps=1e-5, hidden_act="silu",
                bos_token_id=1, eos_token_id=2, tie_word_embeddings=False)
    base.update(changes)
    return base


FIXTURES = [
    Fixture("llama_gqa", "LlamaForCausalLM",
            llama(dtype="bfloat16", head_dim=12, rope_parameters=ROPE_5)),
    Fixture("llama_rope3_old_form", "LlamaForCausalLM",
            llama(torch_dtype="float32", head_dim=20, num_hidden_layers=2, rope_theta=50000.0,
                  rope_scaling=LLAMA3_SCALING, max_position_embeddings=256,
                  tie_word_embeddings=True, eos_token_id=[2, 5]),
            dtype=torch.float32, buffers=True, effect_of=("rope_scaling", None)),
    Fixture("llama_rope3", "LlamaForCausalLM",
            llama(dtype="bfloat16", num_hidden_layers=2, max_position_embeddings=256,
                  rope_parameters={**LLAMA3_SCALING, "rope_theta": 50000.0}),
            drop_prefix="model."),
    Fixture("llama_odd_sizes", "LlamaForCausalLM",
            llama(torch_dtype="bfloat16", hidden_size=60, intermediate_size=100, head_dim=22,
                  num_attention_heads=3, num_key_value_heads=1, vocab_size=131,
                  num_hidden_layers=2, rope_theta=10000.0,
                  rope_scaling={"type": "linear", "factor": 4.0}),
            effect_of=("rope_scaling", None)),
    Fixture("llama_sharded_biases", "LlamaForCausalLM",
            llama(torch_dtype="float16", attention_bias=True, mlp_bias=True),
            dtype=torch.float16, shards=3),
    Fixture("mistral_window", "MistralForCausalLM",
            llama(model_type="mistral", dtype="bfloat16", sliding_window=6, head_dim=16,
                  rope_parameters=ROPE_5),
            effect_of=("sliding_window", None)),
    Fixture("qwen2", "Qwen2ForCausalLM",
            llama(model_type="qwen2", torch_dtype="bfloat16", rope_theta=1000000.0,
                  rms_norm_eps=1e-6, use_sliding_window=False, sliding_window=4,
                  max_window_layers=1, tie_word_embeddings=True)),
    Fixture("qwen2_window", "Qwen2ForCausalLM",
            llama(model_type="qwen2", torch_dtype="bfloat16", rope_theta=10000.0,
                  use_sliding_window=True, sliding_window=9, max_window_layers=2),
            effect_of=("max_window_layers", 1)),
    Fixture("qwen3", "Qwen3ForCausalLM",
            llama(model_type="qwen3", torch_dtype="bfloat16", rope_theta=1000000.0, head_dim=16,
                  rms_norm_eps=1e-6, num_hidden_layers=2, tie_word_embeddings=True,
                  rope_scaling={"rope_type": "yarn", "factor": 4.0,
                                "original_max_position_embeddings": 32}),
            effect_of=("rope_scaling", None)),
    Fixture("phi3_short", "Phi3ForCausalLM",
            llama(model_type="phi3", torch_dtype="bfloat16", num_hidden_layers=2,
                  original_max_position_embeddings=128, max_position_embeddings=512,
                  sliding_window=11, pad_token_id=0,
                  rope_scaling={"type": "longrope", "short_factor": LONG_ROPE[0],
                                "long_factor": LONG_ROPE[1]}),
            effect_of=("sliding_window", None)),
    Fixture("phi3_long", "Phi3ForCausalLM",
            llama(model_type="phi3", dtype="bfloat16", num_hidden_layers=2, hidden_size=64,
                  original_max_position_embeddings=16, max_position_embeddings=128,
                  pad_token_id=0,
                  rope_parameters={"rope_type": "longrope", "rope_theta": 10000.0,
                                   "partial_rotary_factor": 0.75,
                                   "short_factor": LONG_ROPE[0], "long_factor": LONG_ROPE[1]}),
            prompt_tokens=(17, 18, 23, 34),
            effect_of=("original_max_position_embeddings", 128)),
    Fixture("gemma2", "Gemma2ForCausalLM",
            dict(model_type="gemma2", hidden_size=48, intermediate_size=80, num_hidden_layers=3,
                 num_attention_heads=4, num_key_value_heads=2, head_dim=16, vocab_size=128,
                 max_position_embeddings=128, query_pre_attn_scalar=20, sliding_window=6,
                 attn_logit_softcapping=2.0, final_logit_softcapping=9.0,
                 hidden_activation="gelu_pytorch_tanh", rms_norm_eps=1e-6, rope_theta=10000.0,
                 bos_token_id=2, eos_token_id=1, pad_token_id=0, torch_dtype="bfloat16"),
            effect_of=("attn_logit_softcapping", None)),
    Fixture("opt", "OPTForCausalLM",
            dict(model_type="opt", hidden_size=48, word_embed_proj_dim=48, ffn_dim=96,
                 num_hidden_layers=3, num_attention_heads=4, vocab_size=140,
                 max_position_embeddings=96, activation_function="relu",
                 do_layer_norm_before=True, pad_token_id=1, bos_token_id=2, eos_token_id=2,
                 torch_dtype="float16"),
            dtype=torch.float16),
    Fixture("opt_old_names", "OPTForCausalLM",
            dict(model_type="opt", hidden_size=52, word_embed_proj_dim=52, ffn_dim=72,
                 num_hidden_layers=2, num_attention_heads=4, vocab_size=128,
                 max_position_embeddings=96, activation_function="relu",
                 do_layer_norm_before=True, pad_token_id=1, bos_token_id=2, eos_token_id=2,
                 tie_word_embeddings=False, dtype="bfloat16"),
            drop_prefix="model."),
    Fixture("opt_350m", "OPTForCausalLM",
            dict(model_type="opt", hidden_size=48, word_embed_proj_dim=32, ffn_dim=96,
                 num_hidden_layers=2, num_attention_heads=4, vocab_size=128,
                 max_position_embeddings=96, activation_function="relu",
                 do_layer_norm_before=False, pad_token_id=1, bos_token_id=2, eos_token_id=2,
                 torch_dtype="float16"),
            dtype=torch.float16),
    Fixture("bloom_6_heads", "BloomForCausalLM",
            dict(model_type="bloom", hidden_size=48, n_layer=3, n_head=6, vocab_size=128,
                 layer_norm_epsilon=1e-5, apply_residual_connection_post_layernorm=False,
                 bos_token_id=1, eos_token_id=2, pad_token_id=3, torch_dtype="bfloat16",
                 seq_length=128),
            drop_prefix="transformer."),
    Fixture("bloom_8_heads", "BloomForCausalLM",
            dict(model_type="bloom", hidden_size=56, n_layer=2, n_head=8, vocab_size=120,
                 layer_norm_epsilon=1e-5, bos_token_id=1, eos_token_id=2, pad_token_id=3,
                 dtype="bfloat16", seq_length=128)),
    Fixture("gpt2", "GPT2LMHeadModel",
            dict(model_type="gpt2", n_embd=48, n_layer=2, n_head=4, n_positions=96, n_ctx=96,
                 vocab_size=128, activation_function="gelu_new", layer_norm_epsilon=1e-5,
                 bos_token_id=2, eos_token_id=2, dtype="bfloat16"),
            drop_prefix="transformer."),
    Fixture("gpt_neox", "GPTNeoXForCausalLM",
            dict(model_type="gpt_neox", hidden_size=64, intermediate_size=96, num_hidden_layers=2,
                 num_attention_heads=4, vocab_size=128, max_position_embeddings=128,
                 rotary_pct=0.25, rotary_emb_base=10000, use_parallel_residual=True,
                 hidden_act="gelu", layer_norm_eps=1e-5, bos_token_id=2, eos_token_id=2,
                 torch_dtype="float16"),
            dtype=torch.float16, effect_of=("use_parallel_residual", False)),
    Fixture("gpt_neox_sequential", "GPTNeoXForCausalLM",
            dict(model_type="gpt_neox", hidden_size=48, intermediate_size=96, num_hidden_layers=2,
                 num_attention_heads=4, vocab_size=120, max_position_embeddings=128,
                 rope_parameters={"rope_type": "default", "rope_theta": 10000.0,
                                  "partial_rotary_factor": 0.5},
                 use_parallel_residual=False, hidden_act="gelu", layer_norm_eps=1e-5,
                 bos_token_id=2, eos_token_id=2, dtype="bfloat16")),
    Fixture("falcon_7b", "FalconForCausalLM",
            dict(model_type="falcon", hidden_size=48, num_hidden_layers=2, num_attention_heads=6,
                 vocab_size=128, multi_query=True, parallel_attn=True, alibi=False, bias=False,
                 new_decoder_architecture=False, layer_norm_epsilon=1e-5, bos_token_id=2,
                 eos_token_id=2, torch_dtype="bfloat16")),
    Fixture("falcon_40b", "FalconForCausalLM",
            dict(model_type="falcon", hidden_size=64, num_hidden_layers=2, num_attention_heads=8,
                 num_kv_heads=2, vocab_size=128, new_decoder_architecture=True, alibi=False,
                 bias=False, layer_norm_epsilon=1e-5, bos_token_id=2, eos_token_id=2,
                 ffn_hidden_size=96, torch_dtype="bfloat16")),
    Fixture("falcon_rw", "FalconForCausalLM",
            dict(model_type="falcon", hidden_size=32, num_hidden_layers=2, num_attention_heads=8,
                 vocab_size=128, multi_query=False, parallel_attn=False, alibi=True, bias=True,
                 new_decoder_architecture=False, layer_norm_epsilon=1e-5, bos_token_id=2,
                 eos_token_id=2, ffn_hidden_size=96, dtype="bfloat16"),
            attention="sdpa", effect_of=("alibi", False)),
    Fixture("mixtral", "MixtralForCausalLM",
            llama(model_type="mixtral", torch_dtype="bfloat16", num_hidden_layers=2,
                  intermediate_size=40, num_local_experts=4, num_experts_per_tok=2,
                  rope_theta=1000000.0, sliding_window=None, output_router_logits=False),
            effect_of=("num_experts_per_tok", 1)),
    Fixture("qwen3_moe", "Qwen3MoeForCausalLM",
            llama(model_type="qwen3_moe", torch_dtype="bfloat16", num_hidden_layers=2, head_dim=16,
                  moe_intermediate_size=24, num_experts=8, num_experts_per_tok=3,
                  norm_topk_prob=True, decoder_sparse_step=1, mlp_only_layers=[],
                  rope_theta=1000000.0, rms_norm_eps=1e-6),
            effect_of=("norm_topk_prob", False)),
]


def make_model(fixture, config_json):
    """The model of a config.json's content, with attention as the textbook has it."""
    config = transformers.CONFIG_MAPPING[fixture.config["model_type"]].from_dict(
        dict(config_json))
    config._attn_implementation = fixture.attention
    return getattr(transformers, fixture.architecture)(config).eval().float()


def randomize(model, fixture, seed):
    """Weights that make a lively model: matrices keep the size of what they map, the head's logits
    have the standard deviation LOGIT_STD, and random signs in the last norm keep a tied head from repeating
    the last token."""
    generator = torch.Generator().manual_seed(seed)
    normal = lambda t: torch.randn(t.shape, generator=generator)
    hidden = model.config.hidden_size
    for name, tensor in model.named_parameters():
        value = normal(tensor)
        if tensor.dim() == 1 and name.endswith("bias"):
            value *= 0.2
        elif tensor.dim() == 1:
            value = 1 + 0.2 * value
            if name.endswith(FINAL_NORMS):
                value *= torch.sign(normal(tensor))
            if fixture.config["model_type"] == "gemma2":
                if "layernorm" in name and "post_" in name:
                    value *= 3  # so that the scaled embedding is not all there is
                value -= 1  # its norms multiply by 1 + weight
        elif "embed" in name or "lm_head" in name or name.endswith(("wte.weight", "wpe.weight")):
            value *= LOGIT_STD / hidden**0.5
        else:
            inputs = 0 if fixture.config["model_type"] == "gpt2" else -1  # where they stand
            value *= 1.4 / tensor.shape[inputs]**0.5
            if name.endswith(("fc2.weight", "dense_4h_to_h.weight", "mlp.c_proj.weight")):
                value -= value.mean(dim=inputs, keepdim=True)
        value = value.bfloat16().float()
        if fixture.dtype == torch.float16:
            value = value.half().float()
        assert torch.equal(value, value.bfloat16().float())
        tensor.data.copy_(value)


def hub_tensors(name, tensor, fixture):
    """A tensor as the hub's files have it: experts one by one."""
    layer, _, what = name.partition(".mlp.")
    mixtral = fixture.config["model_type"] == "mixtral"
    if what == "gate.weight" and mixtral:
        return [(f"{layer}.block_sparse_moe.gate.weight", tensor)]
    if what.startswith("experts."):
        names = (("w1", "w3", "w2") if mixtral else ("gate_proj", "up_proj", "down_proj"))
        prefix = f"{layer}.block_sparse_moe" if mixtral else f"{layer}.mlp"
        parts = [(names[2:], t.chunk(1)) if "down" in what else (names[:2], t.chunk(2)) for t in tensor]
        return [(f"{prefix}.experts.{e}.{n}.weight", t) for e, (keys, values) in enumerate(parts)
                for n, t in zip(keys, values)]
    return [(name, tensor)]


def tensors_of(model, fixture):
    tied = model.config.tie_word_embeddings
    out = {}
    for name, tensor in model.state_dict().items():
        if tied and name == "lm_head.weight":
            continue
        for hub_name, part in hub_tensors(name, tensor, fixture):
            out[hub_name.removeprefix(fixture.drop_prefix)] = part.to(fixture.dtype).contiguous().clone()
    if fixture.buffers:
        for layer in range(model.config.num_hidden_layers):
            out[f"model.layers.{layer}.self_attn.rotary_emb.inv_freq"] = torch.arange(
                10, dtype=torch.float32)
    return out


def save_model(folder, model, fixture, config_json):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config_json, indent=1) + "\n")
    tensors = tensors_of(model, fixture)
    metadata = {"format": "pt"}
    if fixture.shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata)
        return
    names = list(tensors)
    weight_map = {}
    for i in range(fixture.shards):
        file = f"model-{i + 1:05}-of-{fixture.shards:05}.safetensors"
        part = names[i * len(names) // fixture.shards:(i + 1) * len(names) // fixture.shards]
        save_file({name: tensors[name] for name in part}, folder / file, metadata)
        weight_map.update({name: file for name in part})
    total = sum(t.numel() * t.element_size() for t in tensors.values())
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}, indent=1) + "\n")


@torch.no_grad()
def logits_of(model, ids):
    return model(torch.tensor([ids]), use_cache=False).logits[0].float()


def continue_greedily(model, prompt):
    """NEW_TOKENS tokens, and the smallest distance between the best logit and the next one."""
    ids, margin = list(prompt), float("inf")
    for _ in range(NEW_TOKENS):
        best = torch.topk(logits_of(model, ids)[-1], 2)
        margin = min(margin, (best.values[0] - best.values[1]).item())
        ids.append(best.indices[0].item())
    return ids[len(prompt):], margin


def numbers(tensor):
    return [float(f"{x:.9g}") for x in tensor.double().tolist()]


def expect(model, fixture, seed):
    """The content of expected.json, or None if this seed's texts are not clear enough."""
    generator = torch.Generator().manual_seed(seed + 1)
    vocab = model.config.vocab_size
    prompts = [torch.randint(3, vocab, (n,), generator=generator).tolist()
               for n in fixture.prompt_tokens]
    greedy = []
    for prompt in prompts:
        ids, margin = continue_greedily(model, prompt)
        if margin < MARGIN or len(set(ids)) < NEW_TOKENS // 2:
            return None
        greedy.append(ids)
    logits = [logits_of(model, prompt) for prompt in prompts]
    spread = torch.cat(logits).std().item()
    assert 1.5 < spread < 6, f"logits' standard deviation is {spread}"
    return {
        "prompts": prompts,
        "greedy": greedy,
        "logits_last": [numbers(x[-1]) for x in logits],
        "logits_all": {"prompt": PROMPT_WITH_ALL_LOGITS,
                       "values": [numbers(row) for row in logits[PROMPT_WITH_ALL_LOGITS]]},
    }


def assert_effect(fixture, config_json, model, expected):
    """The option under test changes the longest prompt's logits: else its fixture shows nothing."""
    if not fixture.effect_of:
        return
    key, other = fixture.effect_of
    changed = make_model(fixture, {**config_json, key: other})
    changed.load_state_dict(model.state_dict())
    difference = (logits_of(changed, expected["prompts"][-1])[-1]
                  - torch.tensor(expected["logits_last"][-1])).abs().max().item()
    assert difference > 0.3, f"{fixture.name}: without {key} the logits differ by {difference}"
    print(f"  without {key} the logits differ by {difference:.2f}")


def make(fixture):
    config_json = {"architectures": [fixture.architecture], **fixture.config}
    folder = FOLDER / fixture.name
    for seed in range(1, 500):
        model = make_model(fixture, config_json)
        randomize(model, fixture, seed)
        save_model(folder, model, fixture, config_json)
        read_back = getattr(transformers, fixture.architecture).from_pretrained(
            folder, dtype=torch.float32, attn_implementation=fixture.attention).eval()
        for name, value in model.state_dict().items():
            assert torch.equal(value, read_back.state_dict()[name]), name
        expected = expect(read_back, fixture, seed)
        if expected is not None:
            break
    else:
        sys.exit(f"{fixture.name}: no seed gives clear texts")
    print(f"{fixture.name}: seed {seed}")
    assert_effect(fixture, config_json, read_back, expected)
    (folder / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")


def main():
    torch.set_num_threads(1)
    wanted = sys.argv[1:]
    for fixture in FIXTURES:
        if not wanted or fixture.name in wanted:
            make(fixture)
    size = sum(f.stat().st_size for f in FOLDER.rglob("*") if f.is_file())
    print(f"{size / 2**20:.2f} MiB in {FOLDER}")


if __name__ == "__main__":
    main()
