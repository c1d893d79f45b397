"""What the trial says: values in, values out; no clock and no input or output but the protocol's own file."""
