"""Evidence that anybody can make again: `make evidence` prints it as one table, the tests here run a sample."""
