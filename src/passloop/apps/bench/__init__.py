"""The matrix of models x sparse attention x benchmarks x subsets: spec, cells, their results, and answers."""
