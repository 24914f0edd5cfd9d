"""Turns trained networks into packs that the runtime serves."""
