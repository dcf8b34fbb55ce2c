"""A private, OpenAI-compatible LLM service around vLLM."""

__version__ = "0.1.0"
