"""Face 2: what a browser or a supervisor asks the service by HTTP."""
