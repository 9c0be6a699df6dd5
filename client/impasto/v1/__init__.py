"""The contract as Python: stubs that `make proto` writes from proto/impasto/v1. Import the modules, not this package."""
