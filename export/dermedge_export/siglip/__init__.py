"""A SigLIP checkpoint becomes a verified, quantized pack."""
