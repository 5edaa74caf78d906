"""Implementations of the ports; only `runtime.bootstrap` names them."""
