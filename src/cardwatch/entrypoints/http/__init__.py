"""The HTTP API of the embedded home: Litestar on uvicorn."""
