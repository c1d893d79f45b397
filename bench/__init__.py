"""How fast it is: every figure beside the floor that was measured in the same run; see bench/README.md."""
