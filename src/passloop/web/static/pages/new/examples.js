// A small spec of each kind to begin with.

export const EXAMPLES = {
  run: `run: digits
command: ["{python}", train.py, --depth, "{depth}", --lr, "{lr}"]
matrix: {depth: [2, 4, 8], lr: [1e-2, 1e-3]}
resources: {gpus: 1, vram: 20GiB}
time_limit: 10m
retries: {failure: 1}
`,
  bench: `bench: first-look
adapter: fake
models: [tiny]
sparse_attention: [dense, {name: recent, window: 256}]
benchmarks:
  - {name: niah, lengths: [1024, 4096], samples: 5}
`,
  tune: `tune: serving
engine: vllm
model: /models/my-model
resources: {gpus: 1}
objectives: [{metric: output_tokens_per_second}]
max_parallel: 2
`,
  generate: `generate: questions
rows: 100
models:
  writer: {base_url: "http://127.0.0.1:8000/v1", model: my-model, parallel: 8}
columns:
  - {name: topic, sampler: category, values: [history, physics, cooking]}
  - {name: question, model: writer, prompt: "Write one question about {{ topic }}."}
`,
};
