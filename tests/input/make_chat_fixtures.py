#!/usr/bin/env python3
"""Makes fixtures/chat.jsonl: chat templates, rows, and what transformers renders.

Run by hand (needs transformers and jinja2; the committed fixture needs neither):
    HF_HUB_OFFLINE=1 python3 tests/input/make_chat_fixtures.py

The templates are written here in the style of the model families'; each line of the fixture has a
template once (`template`, with `name` and special tokens) or a `row` for the one before it with its
`text`, or with `refused` where rendering ends in an exception.
"""

import json
import os
import pathlib

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import jinja2
from transformers.utils.chat_template_utils import render_jinja_template

FILE = pathlib.Path(__file__).parent / "fixtures" / "chat.jsonl"
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}

CHATML = """{%- for message in messages %}
    {%- if loop.first and message.role != 'system' %}
        {{- '<|im_start|>system\\nBe helpful.<|im_end|>\\n' }}
    {%- endif %}
    {{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""

QWEN_TOOLS = """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0]['role'] == 'system' %}
        {{- messages[0]['content'] }}
    {%- else %}
        {{- 'Default system.' }}
    {%- endif %}
    {{- "\\n\\n# Tools\\n<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools><|im_end|>\\n" }}
{%- elif messages[0]['role'] == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
        {%- if message.content %}
            {{- '\\n' + message.content }}
        {%- endif %}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}
                {%- set tool_call = tool_call.function %}
            {%- endif %}
            {{- '\\n<tool_call>\\n{"name": "' }}
            {{- tool_call.name }}
            {{- '", "arguments": ' }}
            {{- tool_call.arguments | tojson }}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' + message.content + '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""

THINKING = """{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if message.role == "assistant" %}
        {%- set reasoning = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning = message.reasoning_content %}
        {%- elif '</think>' in content %}
            {%- set reasoning = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index and (loop.last or (not loop.last and reasoning)) %}
            {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}"""

LLAMA2 = """{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate user/assistant/...') }}{% endif %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"""

LLAMA3 = """{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{#- The system message is taken out. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none %}
    {{- "Environment: ipython\\n" }}
{%- endif %}
{{- "Today Date: " + date_string + "\\n\\n" }}
{%- if tools is not none %}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
{%- endif %}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("This model only supports single tool-calls at once!") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}
        {{- tool_call.name + "(" -}}
        {%- for arg_name, arg_val in tool_call.arguments | items %}
            {{- arg_name + '="' + arg_val|string + '"' }}
            {%- if not loop.last %}
                {{- ", " }}
            {%- endif %}
        {%- endfor %}
        {{- ")" }}
        {{- "<|eot_id|>" }}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\\n\\n" }}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""

MISTRAL = """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("roles must alternate") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {{- "[AVAILABLE_TOOLS] [" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}
                        {{- '"' + key + '": "' + val + '"' }}
                    {%- else %}
                        {{- '"' + key + '": ' + val|tojson }}
                    {%- endif %}
                    {%- if not loop.last %}
                        {{- ", " }}
                    {%- endif %}
                {%- endfor %}
                {{- "}}" }}
                {%- if not loop.last %}
                    {{- ", " }}
                {%- else %}
                    {{- "]" }}
                {%- endif %}
            {%- endfor %}
            {{- "[/AVAILABLE_TOOLS]" }}
        {%- endif %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- else %}
        {{- raise_exception("Only user and assistant roles are supported!") }}
    {%- endif %}
{%- endfor %}
"""

GEMMA = """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\\n'}}{% endif %}"""

PHI3 = """{% for message in messages %}{% if message['role'] == 'system' and message['content'] %}{{'<|system|>
' + message['content'] + '<|end|>
'}}{% elif message['role'] == 'user' %}{{'<|user|>
' + message['content'] + '<|end|>
'}}{% elif message['role'] == 'assistant' %}{{'<|assistant|>
' + message['content'] + '<|end|>
'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>
' }}{% else %}{{ eos_token }}{% endif %}"""

BLOCKS = """{% for message in messages %}
{% if message['role'] == 'user' %}
  {{ '<|user|>' }}
{{ message['content'] }}{{ eos_token }}
    {# a comment #}
{% elif message['role'] == 'system' %}
<|system|>
{{ message['content'] + eos_token }}
{% else %}
<|assistant|>
{% generation %}{{ message['content'] + eos_token }}{% endgeneration %}

{% endif %}
{%+ if loop.last and add_generation_prompt +%}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}
tail	{{- ' end' -}}   

"""

MACROS = """{%- macro render(content, prefix='* ', times=1) -%}
  {%- if content is string -%}{{ prefix * times ~ content }}
  {%- elif content is iterable and content is not mapping -%}
    {%- for item in content -%}
      {%- if item.type == 'text' -%}{{ prefix }}{{ item.text }}{%- elif item.type == 'image' -%}<image>{%- else -%}{%- continue -%}{%- endif -%};
    {%- endfor -%}
  {%- else -%}?{%- endif -%}
{%- endmacro -%}
{%- set joined -%}
{{ messages | map(attribute='role') | join(', ') }} / {{ messages | length }}
{%- endset -%}
[{{ joined | upper }}]
{% for message in messages -%}
{{ loop.index }}/{{ loop.revindex }}/{{ loop.length }} {{ loop.cycle('a', 'b') }} {{ render(message.content, times=2) }} {{ render(message['content'], '- ') }}
{% if loop.previtem is defined and loop.previtem.role == message.role %}same{% endif %}
{%- if loop.index > 3 %}{% break %}{% endif %}
{% else -%}
nothing
{%- endfor %}"""

EXPRESSIONS = """{%- set x = messages[0].content -%}
{{ x[0] }}|{{ x[-1] }}|{{ x[1:3] }}|{{ x[:-1] }}|{{ x[::-1] }}|{{ x | length }}|{{ x.split() }}|{{ x.split(',', 1) }}
{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 3 }} {{ 1 + 2 * 3 - 4 }} {{ (1 + 2) * 3 }} {{ 1.5 + 1 }} {{ 6 / 2 }} {{ 1e3 if false else 10.0 }}
{{ [1, 'a', none, true, 1.0, {'k': [1]}] }} {{ {'a': 1, "b": 'it\\'s'} }} {{ (1, 2)[1] }} {{ "a" ~ 1 ~ none ~ true }}
{{ 'a' in x }} {{ 'a' not in x }} {{ 3 in [1, 2, 3] }} {{ 'role' in messages[0] }} {{ not x == 'a' and 1 < 2 or false }}
{{ undefined_name }}|{{ undefined_name is defined }}|{{ undefined_name | default('d') }}|{{ '' | default('e', true) }}|{{ none | d('f') }}
{{ x | trim | upper | lower | title | capitalize | replace('a', 'b') }} {{ ['b', 'a', 'C'] | sort | join('-') }} {{ [3, 1, 2] | sort(reverse=true) }} {{ [1, 2, 2, 3] | unique | list }}
{{ [1, 2, 3] | first }} {{ [1, 2, 3] | last }} {{ [1, 2, 3] | reverse | list }} {{ 'abc' | reverse }} {{ '42' | int + 1 }} {{ 'x' | int(7) }} {{ '1.5' | float }} {{ -3 | abs }}
{{ messages[0].items() | map('join', ':') | list }} {{ messages[0].keys() | list }} {{ messages[0].get('nothing', 'none') }} {{ messages[0].get('role') }} {{ messages[0] | dictsort | map('join', ':') | list }}
{{ range(3) | list }} {{ range(5, 0, -2) | list }} {{ 4 is even }} {{ 3 is odd }} {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(2) }} {{ none is none }} {{ 1 is number }} {{ x is string }} {{ messages is sequence }} {{ messages[0] is mapping }} {{ true is boolean }} {{ 'a' is in ['a'] }} {{ 2 is eq 2 }} {{ 'a' is ne 'b' }}
{{ [{'n': 'x', 'v': 1}, {'n': 'y', 'v': 0}] | selectattr('v') | map(attribute='n') | list }} {{ [{'v': 1}, {'v': 2}] | rejectattr('v', 'eq', 1) | list }} {{ [1, 0, 2] | select | list }} {{ [1, 2, 3] | reject('odd') | list }} {{ ['a', 'b'] | map('upper') | join }}
{{ 'line\\nline' | indent(2) }} {{ 'line\\n\\nline' | indent(2, true) }} {{ x.startswith(('q', x[0])) }} {{ x.endswith('zz') }} {{ x.find('o') }} {{ 'a-b-c'.rsplit('-', 1) }} {{ '-'.join(['1', '2']) }} {{ ' a '.lstrip() }}| {{ 'xxaxx'.strip('x') }} {{ 'aXa'.count('a') }} {{ 'a\\nb\\n'.splitlines() }} {{ 'ab'.replace('a', 'c') }}
{{ {'b': [1, {'c': none, 'd': 'é"\\n'}], 'a': {}} | tojson }} {{ {'b': [1, {'c': none}], 'a': [], 'f': 1.0} | tojson(indent=2) }} {{ "<a&b>" | tojson }} {{ 'é' | length }} {{ 'Straße' | upper if false else 'ÀÉ' | lower }}
{% set ns = namespace(found=false, n=0) %}{% for i in range(4) if i != 1 %}{% set ns.n = ns.n + i %}{% set hidden = i %}{% if i == 3 %}{% set ns.found = true %}{% endif %}{% endfor %}{{ ns.n }} {{ ns.found }} {{ hidden is defined }} {% set a, b = 1, 'two' %}{{ a }}{{ b }} {{ 'yes' if ns.found }}{{ 'no' if not ns.found }} {{ dict(a=1, b=2) }} {{ "con" "cat" }} {% if x is defined and x %}{{ x | string | safe }}{% endif %}"""

CONVERSATIONS = [
    [{"role": "user", "content": "Hello"}],
    [{"role": "system", "content": " You are terse. "}, {"role": "user", "content": "  Hi, there!\n"}],
    [{"role": "user", "content": "ab, öö o"}, {"role": "assistant", "content": "<think>\nwhy\n</think>\n\nB"},
     {"role": "user", "content": "Ünï 😀 \"quoted\" it's"}],
    [{"role": "system", "content": ""}, {"role": "user", "content": "1"},
     {"role": "assistant", "content": " 2 "}, {"role": "user", "content": "3"}, {"role": "assistant", "content": "4"}],
    [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}],
]
PARTS = [{"role": "user", "content": [{"type": "text", "text": "see"}, {"type": "image"}, {"type": "audio"}]},
         {"role": "user", "content": None}, {"role": "assistant", "content": "x", "reasoning_content": "r"}]
TOOL = {"type": "function", "function": {"name": "weather", "description": "The weather of a place",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "number",
                       "default": 1.5}}, "required": ["city"]}, "return": {"type": "string"}}}
CALL = {"type": "function", "function": {"name": "weather", "arguments": {"city": "Zürich", "days": 2}}}
TOOLS = [
    [{"role": "user", "content": "Rain?"}],
    [{"role": "system", "content": "S"}, {"role": "user", "content": "Rain?"},
     {"role": "assistant", "content": "", "tool_calls": [CALL]}, {"role": "tool", "content": "{\"rain\": true}"},
     {"role": "tool", "content": "again"}, {"role": "assistant", "content": "Yes."}, {"role": "user", "content": "Thanks"}],
]


def rows():
    for messages in CONVERSATIONS:
        yield messages
    yield {"messages": CONVERSATIONS[1], "add_generation_prompt": False}
    yield {"messages": CONVERSATIONS[3], "chat_template_kwargs": {"enable_thinking": False, "date_string": "today"}}
    yield {"messages": PARTS}
    for messages in TOOLS:
        yield {"messages": messages, "tools": [TOOL, TOOL]}
    yield {"messages": TOOLS[1]}


def rendered(template, row):
    row = {"messages": row} if isinstance(row, list) else dict(row)
    values = {**TOKENS, **row.pop("chat_template_kwargs", {})}
    generate = row.pop("add_generation_prompt", True)
    out, _ = render_jinja_template(conversations=[row["messages"]], tools=row.get("tools"), chat_template=template,
                                   add_generation_prompt=generate, **values)
    return out[0]


def main():
    lines, texts = [], 0
    for name, template in [("chatml", CHATML), ("qwen_tools", QWEN_TOOLS), ("thinking", THINKING), ("llama2", LLAMA2),
                           ("llama3", LLAMA3), ("mistral", MISTRAL), ("gemma", GEMMA), ("phi3", PHI3),
                           ("blocks", BLOCKS), ("macros", MACROS), ("expressions", EXPRESSIONS)]:
        lines.append({"name": name, "template": template, "tokens": TOKENS})
        for row in rows():
            line = {"row": row}
            try:
                line["text"] = rendered(template, row)
                texts += 1
            except (jinja2.exceptions.TemplateError, TypeError, AttributeError) as error:
                line["refused"] = str(error)
            lines.append(line)
    assert texts > 80, texts
    FILE.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    print(f"{texts} texts of {len(lines)} lines, {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
