"""The pages, each beside its stylesheet; none knows another."""
