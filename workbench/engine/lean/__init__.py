"""Our own forward pass for Llama- and Qwen-type models: the tokens alone, each prompt once, few large operations."""
