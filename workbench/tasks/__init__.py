"""Prompts and verifiable rewards, with TRL's signatures.  Standard library; datasets, math_verify where asked for."""
