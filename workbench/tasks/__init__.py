"""Prompts and verifiable rewards, with TRL's signatures.  Standard library only."""
