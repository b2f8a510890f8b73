"""Text to token vectors and term weights, the MaxSim maths and the codecs. Pure: NumPy in, NumPy out, no cluster."""
