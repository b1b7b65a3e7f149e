// A small spec of each kind to begin with.

export const EXAMPLES = {
  run: `run: sweep
command: ["{python}", train.py, --depth, "{depth}", --lr, "{lr}"]
matrix: {depth: [2, 4, 8], lr: [0.01, 0.001]}
resources: {gpus: 1, vram: 20GiB}
time_limit: 10m
retries: {failure: 1}
`,
  bench: `bench: first-look
adapter: fake            # no model is loaded, every answer is made up; hf loads real ones
models: {small: {}, large: {}}
sparse_attention:
  dense: {}
  knorm-50: {method: knorm, compression_ratio: 0.5}
benchmarks:
  niah: {subsets: [single_512, single_1024], samples: 8}
  words: {samples: 8}
`,
  tune: `tune: serving
engine:
  kind: command
  argv: ["{python}", -m, passloop.testing.server, --port, "{port}", --tpot, "{tpot}", --parallel, "{places}"]
  ready: {path: /health, timeout: 60s}
space:
  places: {type: choice, values: [1, 2, 4, 8]}
  tpot: {type: int, low: 2, high: 10, step: 2}
resources: {gpus: 1}
load: {prompts: builtin:short, max_tokens: 16, points: [{concurrency: 1}, {concurrency: 4}], requests: 12}
objectives: [{metric: output_tokens_per_second, at: {concurrency: 4}, direction: maximize}]
slo: [{metric: ttft, stat: p95, max: 200ms}]
search: {sampler: tpe, max_trials: 8, max_parallel: 2, baseline: {places: 1, tpot: 10}}
`,
  generate: `generate: tickets
rows: 100
out: tickets.parquet
endpoints:
  local: {base_url: "http://127.0.0.1:8080/v1", max_in_flight: 8}
models:
  writer: {endpoint: local, model: my-model, params: {max_tokens: 64}}
columns:
  - {name: topic, kind: sampler, choice: {values: [billing, delivery, defect]}}
  - {name: ticket, kind: llm_text, model: writer, prompt: "Write a short ticket about {{ topic }}."}
  - {name: words, kind: expression, expr: "{{ ticket.split() | length }}"}
`,
};
