"""The engine: policy, sampling, scoring, one GRPO step, and the iterator that makes a run of them.

Shapes: `P` prompts, `G` completions per prompt, `B = P*G` completions (those of a prompt next to each other),
`S` prompt tokens, `T` completion tokens, `K` recorded alternatives, `V` vocabulary.
"""
