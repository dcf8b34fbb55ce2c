"""The program beside a serving engine: it prepares a switch of models and does it."""
