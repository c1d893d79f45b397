"""When: the dispatcher, the Sender seam and the heartbeat; planning itself is the protocol's calendar."""
