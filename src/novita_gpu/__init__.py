"""A control plane for GPU instances rented from Novita.ai."""
