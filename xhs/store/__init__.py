"""Where what was paid for is kept: documents, their writer, the ledger, the embedded server."""
