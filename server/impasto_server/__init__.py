"""The server of Impasto: a front door that speaks gRPC, jobs that outlive their connections, workers that paint."""
