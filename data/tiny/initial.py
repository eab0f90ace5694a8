"""The weights that training starts from: random ones, and in the first two layers a circuit that copies.

Small models need many million tokens to find by themselves that "A B ... A" continues with B (the induction heads of Olsson et al. 2022).
A short run on a CPU has not so many, so that circuit is built in: in layer 0 three heads look 1, 2 and 3 tokens back and write down what
they see; in layer 1 three heads look for the place whose note "the token before me" equals the current token, and add the token found
there to the output. Training moves all of it: seen in one run, the look-back heads stay, while the match is unlearned in the first few
hundred steps and found again later. Used by train.py.
"""

import math

import torch
from transformers import LlamaForCausalLM

EMBEDDING_STD = 0.07  # a token's own part of its embedding has a norm of about 1
SHARED = 0.5  # norm of the part that all embeddings share; it lets a head work by position alone
NOTE = 0.2  # strength of the notes of layer 0
COPY = 0.3  # strength of what a head of layer 1 adds to the output
POSITION_SCORE = 8.0  # for each frequency of a head that works by position
MATCH = 3.0  # strength of query and key in layer 1


@torch.no_grad()
def initial_model(config):
    """A float32 model with these weights, from torch's global random generator."""
    model = LlamaForCausalLM(config).float()
    hidden, head_dim = config.hidden_size, config.head_dim
    frame = torch.linalg.qr(torch.randn(hidden, hidden))[0]
    shared, seen, note, copied = frame[0], frame[1:1 + head_dim], frame[1 + head_dim:1 + 2 * head_dim], frame[-head_dim:]
    own = model.model.embed_tokens.weight.normal_(std=EMBEDDING_STD)
    own += torch.outer(SHARED - own @ shared, shared)
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight *= 0.1
        layer.mlp.down_proj.weight *= 0.1
    build_lookback(model.model.layers[0].self_attn, config, shared, seen, note)
    build_match(model.model.layers[1].self_attn, config, seen, note, copied)
    return model


def heads_per_group(config):
    """Query heads that share one key and value head."""
    return config.num_attention_heads // config.num_key_value_heads


def rotations(config):
    """Radians a token of each pair (i, i + head_dim / 2) of a head's dimensions."""
    half = config.head_dim // 2
    return config.rope_parameters["rope_theta"] ** (-torch.arange(half) / half)


def build_lookback(attention, config, shared, seen, note):
    """Head h of the first group looks h + 1 tokens back: query and key are constant vectors, which the rotary embedding turns so
    that they agree at that distance. Head 0 writes its note where layer 1 reads it."""
    dim, half, pairs = config.head_dim, config.head_dim // 2, 6
    angles = rotations(config)[:pairs]
    size = math.sqrt(POSITION_SCORE * math.sqrt(dim))
    gain = size * math.hypot(1.0, SHARED) / (SHARED * math.sqrt(config.hidden_size))  # per unit of the shared part after the norm
    attention.k_proj.weight[:dim] = 0
    attention.k_proj.weight[:pairs] = gain * shared
    attention.v_proj.weight[:dim] = seen
    for head in range(heads_per_group(config)):
        rows = attention.q_proj.weight[head * dim:(head + 1) * dim]
        rows.zero_()
        rows[:pairs] = gain * torch.outer(torch.cos((head + 1) * angles), shared)
        rows[half:half + pairs] = -gain * torch.outer(torch.sin((head + 1) * angles), shared)
    attention.o_proj.weight[:, :dim] = NOTE * note.T


def build_match(attention, config, seen, note, copied):
    """The heads of the first group: the key is the note, the query is the token itself, the value goes to the output as it is.
    Only dimensions that turn slowly are used, so that a match is one at any distance."""
    dim, heads = config.head_dim, heads_per_group(config)
    slow = (rotations(config) < 0.02).repeat(2)[:, None]
    attention.k_proj.weight[:dim] = MATCH * slow * note
    attention.v_proj.weight[:dim] = copied
    for head in range(heads):
        attention.q_proj.weight[head * dim:(head + 1) * dim] = MATCH * slow * seen
        attention.o_proj.weight[:, head * dim:(head + 1) * dim] = COPY * copied.T
