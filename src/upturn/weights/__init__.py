"""LoRA adapters as data: read, made plain, named by content. Knows no trainer and no engine."""
