"""`python -m bench gpu`: what a GPU says, correctness first, in nine minutes; see `bench.gpu.command`."""
