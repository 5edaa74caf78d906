"""The feature definition: windows, amounts, places, codec, engine."""
